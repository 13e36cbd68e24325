"""Which process of a run this is, from the variables that torchrun and submitit export."""

from __future__ import annotations

import os


def rank() -> int:
    """Return this process's rank, 0 when alone."""
    return int(os.environ.get("RANK", "0"))


def world_size() -> int:
    """Return the number of processes of this run, 1 when alone."""
    return int(os.environ.get("WORLD_SIZE", "1"))


def is_main() -> bool:
    """Return whether this process is the one that writes records."""
    return rank() == 0
