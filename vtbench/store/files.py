"""Files that survive `kill -9` and a power cut: replaced whole, or appended to by whole lines.

A disk that is full, read-only or gone is a `StoreError` that says so; the file is then what it was before.
"""

from __future__ import annotations

import errno
import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

from vtbench.errors import DiskFullError, StoreError

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_FORBIDDEN = {errno.EACCES, errno.EPERM}
_GONE = {
    errno.ENOENT,
    errno.ENOTDIR,
    errno.ESTALE,
    errno.EIO,
    errno.ENOTCONN,
    errno.ENODEV,
    errno.ENXIO,
    errno.EHOSTDOWN,
    errno.EHOSTUNREACH,
    errno.ETIMEDOUT,
}


def disk_error(path: Path, error: OSError) -> StoreError:
    """Return what `error`, met at `path`, means to a user: a full disk, a read-only one, a missing right, one gone."""
    kept = "What was written before is kept;"
    if error.errno in _FULL:
        return DiskFullError(
            f"{path} cannot be written: the disk is full ({error.strerror}). {kept} make room and run the same again."
        )
    if error.errno == errno.EROFS:
        return StoreError(
            f"{path} cannot be written: the disk is read-only. {kept} mount it for writing, then run again."
        )
    if error.errno in _FORBIDDEN:
        return StoreError(f"{path} cannot be opened: {error.strerror}. Change the permissions, or set VTBENCH_ROOT.")
    if error.errno in _GONE:
        return StoreError(
            f"{path} cannot be reached ({error.strerror}): its folder is gone or its disk does not answer."
            f" {kept} mount the disk again and run the same again."
        )
    return StoreError(f"{path} cannot be used: {error.strerror}.")


@contextmanager
def disk_errors(path: Path) -> Iterator[None]:
    """Turn the system's errors about `path`, its folders or files beside it into a `StoreError` that names it."""
    try:
        yield
    except OSError as error:
        other = None if error.filename is None else Path(os.fsdecode(error.filename))
        if other is not None and other.parent != path.parent and not path.is_relative_to(other):
            raise
        raise disk_error(path, error) from error


@contextmanager
def replacing(path: Path, *, sync: bool = True, parents: bool = True) -> Iterator[IO[bytes]]:
    """Open a temporary file beside `path` that takes its place when the block ends without an exception.

    Args:
        path: the file to replace; its folder is made if missing.
        sync: also wait until file and folder are on disk. Without it a reader still never sees a half-written file.
        parents: also make the folders above. Without it an unmounted disk is noticed, and not written beside.

    Yields:
        A binary file to write to.

    Raises:
        DiskFullError: no room is left; the old file is kept.
        StoreError: the disk is read-only or gone, or the folder must not be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    with disk_errors(path):
        path.parent.mkdir(parents=parents, exist_ok=True)
        try:
            with temporary.open("wb") as file:
                yield file
                file.flush()
                if sync:
                    os.fsync(file.fileno())
            temporary.replace(path)
        finally:
            with suppress(OSError):
                temporary.unlink(missing_ok=True)
        if sync:
            sync_folder(path.parent)


def write_atomic(path: Path, data: bytes | str, *, sync: bool = True, parents: bool = True) -> None:
    """Replace `path` by `data` (text as UTF-8), so that a reader sees the old content or the new, never a part.

    See `replacing` for the arguments and errors.
    """
    with replacing(path, sync=sync, parents=parents) as file:
        file.write(data.encode() if isinstance(data, str) else data)


def append_line(path: Path, text: str, *, parents: bool = True) -> None:
    """Append `text` as one line, by a single write; a torn line that a killed writer left is cut off first.

    Raises:
        ValueError: `text` contains a line break.
        StoreError: see `replacing`; the lines before are kept.
    """
    if "\n" in text:
        raise ValueError("a line cannot contain a line break")
    with disk_errors(path):
        path.parent.mkdir(parents=parents, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
        try:
            size = os.fstat(descriptor).st_size
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                size = os.pread(descriptor, size, 0).rfind(b"\n") + 1
                os.ftruncate(descriptor, size)
            _write_whole(descriptor, f"{text}\n".encode(), size)
        finally:
            os.close(descriptor)


def _write_whole(descriptor: int, data: bytes, size: int) -> None:
    """Append `data`, or leave the file at its `size`: where room ends, the system writes a part and says so later."""
    try:
        while data:
            data = data[os.write(descriptor, data) :]
    except OSError:
        with suppress(OSError):
            os.ftruncate(descriptor, size)
        raise


def sync_file(path: Path) -> None:
    """Wait until what was appended to `path` is on disk; a missing file has nothing to wait for."""
    with disk_errors(path):
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            return
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def read_lines(path: Path) -> list[str]:
    """Return the whole lines of `path`; a torn last line is left out, and a missing file has none."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return []
    whole = data[: data.rfind(b"\n") + 1]
    return [line.decode() for line in whole.split(b"\n") if line]


def read_text(path: Path) -> str:
    """Return the text of `path`.

    Raises:
        StoreError: the file is missing, cannot be read, or is not UTF-8.
    """
    try:
        return path.read_bytes().decode()
    except FileNotFoundError as error:
        raise StoreError(f"{path} does not exist.") from error
    except OSError as error:
        raise disk_error(path, error) from error
    except UnicodeDecodeError as error:
        raise StoreError(f"{path} is not a text file: {error}. Delete it to have it written again.") from error


def read_json(path: Path) -> Any:
    """Return what the JSON file `path` holds.

    Raises:
        StoreError: the file is missing or is not JSON; the message names the line.
    """
    try:
        return json.loads(read_text(path))
    except json.JSONDecodeError as error:
        raise StoreError(
            f"{path}:{error.lineno}: not JSON ({error.msg}). Delete the file to have it written again."
        ) from error


def sync_folder(folder: Path) -> None:
    """Make a rename in `folder` durable; on file systems that cannot sync a folder, do nothing."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
    finally:
        os.close(descriptor)
