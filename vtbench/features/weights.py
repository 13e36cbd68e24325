"""Where weights files lie. Nothing is ever downloaded: a missing file is an error that says what to place where."""

from __future__ import annotations

import functools
import hashlib
import os
import re
from pathlib import Path

from vtbench.errors import WeightsError

_HASH_IN_NAME = re.compile(r"-([0-9a-f]{8,64})\.[^.]+$")


def folders() -> tuple[Path, ...]:
    """Return the folders that are searched, in order: `$VTBENCH_WEIGHTS` if set, then torch.hub's checkpoints."""
    cache = Path(os.environ.get("XDG_CACHE_HOME", "~/.cache"))
    hub = Path(os.environ.get("TORCH_HOME", cache / "torch")) / "hub" / "checkpoints"
    own = os.environ.get("VTBENCH_WEIGHTS")
    return tuple(folder.expanduser() for folder in ([Path(own)] if own else []) + [hub])


def require(file_name: str, what: str, source: str) -> Path:
    """Return the path of a weights file.

    Args:
        file_name: for example `alexnet-owt-7be5be79.pth`. Hex digits before the extension are, as in torch.hub, the
            beginning of the file's SHA-256 and are checked, so that a truncated download is noticed.
        what: what the file holds and is needed for; begins the message.
        source: where to get the file.

    Raises:
        WeightsError: the file lies in none of `folders()`, or is not the one that its name says.
    """
    places = folders()
    path = next((folder / file_name for folder in places if (folder / file_name).is_file()), None)
    if path is None:
        raise WeightsError(
            f"{what}: the weights file {file_name} is missing (looked in {' and '.join(map(str, places))})."
            f" Get it from {source} and place it in {places[0]}, or set VTBENCH_WEIGHTS to the folder that holds it."
        )
    named = _HASH_IN_NAME.search(file_name)
    if named and not sha256(path).startswith(named[1]):
        raise WeightsError(
            f"{what}: {path} is not the file that its name says: its SHA-256 begins with {sha256(path)[:8]}, not with"
            f" {named[1]}. Delete it and get it again from {source}."
        )
    return path


def sha256(path: Path) -> str:
    """Return the SHA-256 of a file in hex; a file that has not changed since is not read again."""
    status = path.stat()
    return _sha256(path, status.st_size, status.st_mtime_ns)


@functools.cache
def _sha256(path: Path, size: int, mtime_ns: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
