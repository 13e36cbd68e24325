"""Files that survive `kill -9` and a power cut: replaced whole, or appended to by whole lines."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

from vtbench.errors import StoreError


@contextmanager
def replacing(path: Path, *, sync: bool = True) -> Iterator[IO[bytes]]:
    """Open a temporary file beside `path` that takes its place when the block ends without an exception.

    Args:
        path: the file to replace; its folder is made if missing.
        sync: also wait until file and folder are on disk. Without it a reader still never sees a half-written file.

    Yields:
        A binary file to write to.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{secrets.token_hex(4)}.tmp")
    try:
        with temporary.open("wb") as file:
            yield file
            file.flush()
            if sync:
                os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    if sync:
        _sync_folder(path.parent)


def write_atomic(path: Path, data: bytes | str, *, sync: bool = True) -> None:
    """Replace `path` by `data` (text as UTF-8), so that a reader sees the old content or the new, never a part."""
    with replacing(path, sync=sync) as file:
        file.write(data.encode() if isinstance(data, str) else data)


def append_line(path: Path, text: str) -> None:
    """Append `text` as one line, by a single write; a torn line that a killed writer left is cut off first.

    Raises:
        ValueError: `text` contains a line break.
    """
    if "\n" in text:
        raise ValueError("a line cannot contain a line break")
    path.parent.mkdir(parents=True, exist_ok=True)
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o644)
    try:
        size = os.fstat(descriptor).st_size
        if size and os.pread(descriptor, 1, size - 1) != b"\n":
            os.ftruncate(descriptor, os.pread(descriptor, size, 0).rfind(b"\n") + 1)
        os.write(descriptor, f"{text}\n".encode())
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
        StoreError: the file is missing or is not UTF-8.
    """
    try:
        return path.read_bytes().decode()
    except FileNotFoundError as error:
        raise StoreError(f"{path} does not exist.") from error
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


def _sync_folder(folder: Path) -> None:
    """Make a rename in `folder` durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
