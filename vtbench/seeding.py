"""Seeds that depend on what they are for, and on nothing else.

Every random choice of a run is drawn from a generator seeded by `derive(run_seed, purpose, step)`. No generator lives
longer than one choice, so a resumed run needs only the step to go on exactly as if it had not been stopped.
"""

from __future__ import annotations

import hashlib
import random

import numpy as np
import torch


def derive(seed: int, *keys: str | int) -> int:
    """Return a 63-bit seed that is a pure function of `seed` and `keys` (SHA-256, so the same on every platform)."""
    text = "/".join([str(seed), *map(str, keys)])
    return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big") >> 1


def rng(seed: int, *keys: str | int) -> np.random.Generator:
    """Return a NumPy generator seeded by `derive(seed, *keys)`."""
    return np.random.default_rng(derive(seed, *keys))


def seed_everything(seed: int) -> None:
    """Seed the global generators of Python, NumPy and torch (initialisation of weights, dropout)."""
    random.seed(seed)
    np.random.seed(seed % 2**32)
    torch.manual_seed(seed)
