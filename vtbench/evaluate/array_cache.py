"""Arrays on disk that any number of runs share: written whole or not at all, and keyed by content by the caller."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from vtbench.errors import StoreError
from vtbench.store.files import replacing


def load_array(path: Path) -> np.ndarray | None:
    """Return the array in `path`, or None if there is no such file.

    Raises:
        StoreError: the file is not a whole array.
    """
    try:
        array: np.ndarray = np.load(path, allow_pickle=False)
    except FileNotFoundError:
        return None
    except (ValueError, EOFError) as error:
        raise StoreError(f"{path} is not a whole array ({error}). Delete it to have it made again.") from error
    return array


def save_array(path: Path, array: np.ndarray) -> None:
    """Write `array` to `path` atomically; two processes may do so at once."""
    with replacing(path) as file:
        np.save(file, array, allow_pickle=False)
