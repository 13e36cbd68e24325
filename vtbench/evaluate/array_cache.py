"""Arrays on disk that any number of processes share: written whole or not at all, and keyed by content by the caller.

Who is about to make a file holds its lock meanwhile (`making`), so that two processes which need the same array at once
compute it once. The kernel takes the lock from a process that dies. Where a disk refuses locks, both compute: the same
bytes, written atomically.
"""

from __future__ import annotations

import errno
import fcntl
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np

from vtbench.errors import StoreError
from vtbench.store.files import replacing

_NO_LOCKS = {errno.ENOLCK, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EINVAL, errno.EPERM, errno.EACCES}

_log = logging.getLogger(__name__)


def load_array(path: Path, *, mapped: bool = False) -> np.ndarray | None:
    """Return the array in `path` (memory-mapped and read-only if `mapped`), or None if there is no such file.

    Raises:
        StoreError: the file is not a whole array.
    """
    try:
        array: np.ndarray = np.load(path, mmap_mode="r" if mapped else None, allow_pickle=False)
    except FileNotFoundError:
        return None
    except (ValueError, EOFError) as error:
        raise StoreError(f"{path} is not a whole array ({error}). Delete it to have it made again.") from error
    return array


def save_array(path: Path, array: np.ndarray) -> None:
    """Write `array` to `path` atomically; two processes may do so at once."""
    with replacing(path) as file:
        np.save(file, array, allow_pickle=False)


@contextmanager
def making(path: Path) -> Iterator[None]:
    """Hold the right to make `path`; waits while another process makes it.

    Inside, look first whether the file has come into being. The lock is a file beside it, gone when nobody needs it.
    """
    lock = path.with_name(f".{path.name}.lock")
    lock.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(lock, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
        except OSError as error:
            if error.errno not in _NO_LOCKS:
                raise
            _log.warning("%s cannot be locked (%s); another process may compute the same.", lock.parent, error.strerror)
        yield
        # Whoever waits on this file gets its lock next and finds the array; whoever comes later finds no lock file.
        if path.exists():
            lock.unlink(missing_ok=True)
    finally:
        os.close(descriptor)
