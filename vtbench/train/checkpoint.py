"""Checkpoints: everything a run needs to go on as if it had not been stopped.

A checkpoint is written under a temporary name, flushed to the disk and renamed, so a file with the final name is
always whole. The last two are kept. They hold tensors and plain values only and are read with `weights_only=True`.
"""

from __future__ import annotations

import pickle
import random
import re
from pathlib import Path
from typing import Any

import numpy as np
import torch

from vtbench.errors import StoreError
from vtbench.store.files import replacing

_NAME = re.compile(r"^step-(\d{8})\.pt$")
NUM_KEPT = 2


def rng_state() -> dict[str, Any]:
    """Return the states of the global generators of torch (CPU and CUDA), Python and NumPy."""
    kind, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    return {
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state_all() if torch.cuda.is_available() else [],
        "python": random.getstate(),
        "numpy": [kind, torch.from_numpy(np.asarray(keys, dtype=np.int64)), position, has_gauss, cached],
    }


def set_rng_state(state: dict[str, Any]) -> None:
    """Restore what `rng_state` returned."""
    torch.set_rng_state(state["torch"])
    if torch.cuda.is_available() and state["cuda"]:
        torch.cuda.set_rng_state_all(state["cuda"])
    version, internal, gauss = state["python"]
    random.setstate((version, tuple(internal), gauss))
    kind, keys, position, has_gauss, cached = state["numpy"]
    np.random.set_state((kind, keys.numpy().astype(np.uint32), position, has_gauss, cached))


def path_of(folder: Path, step: int) -> Path:
    """Return the checkpoint's path after `step` steps."""
    return folder / f"step-{step:08d}.pt"


def steps(folder: Path) -> list[int]:
    """Return the steps of the checkpoints in `folder`, ascending."""
    matches = (_NAME.match(path.name) for path in folder.glob("step-*.pt"))
    return sorted(int(match[1]) for match in matches if match)


def save(folder: Path, step: int, state: dict[str, Any]) -> Path:
    """Write a checkpoint atomically, then remove all but the last `NUM_KEPT`."""
    path = path_of(folder, step)
    with replacing(path) as file:
        torch.save({"step": step, **state}, file)
    for old in steps(folder)[:-NUM_KEPT]:
        path_of(folder, old).unlink(missing_ok=True)
    for leftover in folder.glob(".step-*.tmp"):
        leftover.unlink(missing_ok=True)
    return path


def load(path: Path, device: str | torch.device = "cpu") -> dict[str, Any]:
    """Read a checkpoint.

    Raises:
        StoreError: the file cannot be read.
    """
    try:
        return torch.load(path, map_location=device, weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise StoreError(
            f"the checkpoint {path} cannot be read ({error}); remove it to go on from the one before"
        ) from error


def load_latest(folder: Path, device: str | torch.device = "cpu") -> dict[str, Any] | None:
    """Read the newest checkpoint that can be read; None if there is none.

    Raises:
        StoreError: there are checkpoints and none can be read.
    """
    error: StoreError | None = None
    for step in reversed(steps(folder)):
        try:
            return load(path_of(folder, step), device)
        except StoreError as problem:
            error = error or problem
    if error is not None:
        raise error
    return None
