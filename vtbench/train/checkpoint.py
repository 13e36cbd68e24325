"""Checkpoints: everything a run needs to go on as if it had not been stopped.

A checkpoint is written under a temporary name, flushed to the disk and renamed, so a file with the final name is
always whole. Behind torch's own file stands the SHA-256 of it: what a disk returns changed is never trained on. The
last two are kept, and where the last is broken the one before takes its place. They hold tensors and plain values only
and are read with `weights_only=True`.
"""

from __future__ import annotations

import hashlib
import logging
import os
import pickle
import random
import re
from pathlib import Path
from typing import IO, Any, cast

import numpy as np
import torch

from vtbench.errors import CheckpointError
from vtbench.store.files import disk_errors, replacing

_NAME = re.compile(r"^step-(\d{8})\.pt$")
NUM_KEPT = 2

_MARK = b"vtbench-sha256:"
_TRAILER = len(_MARK) + hashlib.sha256().digest_size
_log = logging.getLogger(__name__)


def rng_state() -> dict[str, Any]:
    """Return the states of the global generators of torch (CPU and the current GPU), Python and NumPy."""
    kind, keys, position, has_gauss, cached = np.random.get_state(legacy=True)
    return {
        "torch": torch.get_rng_state(),
        "cuda": [torch.cuda.get_rng_state()] if torch.cuda.is_available() else [],
        "python": random.getstate(),
        "numpy": [kind, torch.from_numpy(np.asarray(keys, dtype=np.int64)), position, has_gauss, cached],
    }


def set_rng_state(state: dict[str, Any]) -> None:
    """Restore what `rng_state` returned."""
    torch.set_rng_state(state["torch"])
    if torch.cuda.is_available() and state["cuda"]:
        # older checkpoints have a state for each GPU that their process saw
        torch.cuda.set_rng_state(state["cuda"][min(torch.cuda.current_device(), len(state["cuda"]) - 1)])
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


class _Hashed:
    """A file to write to, and the SHA-256 of what was written."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file, self._hash = file, hashlib.sha256()

    def write(self, data: Any) -> int:
        self._hash.update(data)
        return self._file.write(data)

    def flush(self) -> None:
        self._file.flush()

    def finish(self) -> None:
        """Write the checksum behind all else."""
        self._file.write(_MARK + self._hash.digest())


def save(folder: Path, step: int, state: dict[str, Any]) -> Path:
    """Write a checkpoint atomically, then remove all but the last `NUM_KEPT`.

    Checkpoints of later steps are removed too: training came back to this step because they could not be read.

    Raises:
        DiskFullError: no room is left; the checkpoints that are there are kept.
        StoreError: the folder cannot be written.
    """
    path = path_of(folder, step)
    with replacing(path, parents=False) as file:
        hashed = _Hashed(file)
        try:
            torch.save({"step": step, **state}, cast(IO[bytes], hashed))
        except RuntimeError as error:
            # torch's writer answers a failed write with an error of its own
            if isinstance(error.__context__, OSError):
                raise error.__context__ from error
            raise
        hashed.finish()
    present = steps(folder)
    for old in (*[other for other in present if other <= step][:-NUM_KEPT], *(o for o in present if o > step)):
        path_of(folder, old).unlink(missing_ok=True)
    for leftover in folder.glob(".step-*.tmp"):
        leftover.unlink(missing_ok=True)
    return path


def check(path: Path) -> None:
    """Raise a `CheckpointError` if the file is not what was written; files of older versions have no checksum."""
    digest = hashlib.sha256()
    with disk_errors(path), path.open("rb") as file:
        left = os.fstat(file.fileno()).st_size - _TRAILER
        if left < 0:
            return
        file.seek(left)
        trailer = file.read()
        if not trailer.startswith(_MARK):
            return
        file.seek(0)
        while left and (data := file.read(min(left, 2**20))):
            digest.update(data)
            left -= len(data)
    if digest.digest() != trailer[len(_MARK) :]:
        raise CheckpointError(_unreadable(path, "its checksum is not that of its content: the file has changed"))


def digest(path: Path) -> str:
    """Return the SHA-256 of a checkpoint's content, in hexadecimal: what its weights are called in keys of caches.

    Raises:
        CheckpointError: it is broken.
        StoreError: the disk does not answer.
    """
    check(path)
    with disk_errors(path), path.open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - _TRAILER))
        trailer = file.read()
        if trailer.startswith(_MARK):
            return trailer[len(_MARK) :].hex()
        file.seek(0)
        return hashlib.file_digest(file, "sha256").hexdigest()


def is_broken(path: Path) -> bool:
    """Return whether there is a file and it is not what was written; a missing one is not broken."""
    if not path.exists():
        return False
    try:
        load(path)
    except CheckpointError:
        return True
    return False


def load(path: Path, device: str | torch.device = "cpu") -> dict[str, Any]:
    """Read a checkpoint.

    Raises:
        CheckpointError: it is broken.
        StoreError: the disk does not answer.
    """
    check(path)
    try:
        return torch.load(path, map_location=device, weights_only=True)
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise CheckpointError(_unreadable(path, str(error))) from error


def _unreadable(path: Path, why: str) -> str:
    return f"the checkpoint {path} cannot be read ({why}); remove it to go on from the one before"


def load_latest(folder: Path, device: str | torch.device = "cpu") -> dict[str, Any] | None:
    """Read the newest checkpoint that can be read, with a warning for each that cannot; None if there is none.

    Raises:
        CheckpointError: there are checkpoints and none can be read.
    """
    error: CheckpointError | None = None
    for step in reversed(steps(folder)):
        try:
            state = load(path_of(folder, step), device)
        except CheckpointError as problem:
            error = error or problem
            _log.warning("Passed over: %s", problem)
        else:
            return state
    if error is not None:
        raise error
    return None
