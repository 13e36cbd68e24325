"""Values that follow from their key and this program's code alone, kept so that the next command need not find them.

`<cache>/remembered/<hash of the code>.json`; another version of the code, of torch or of Python has another file.
"""

from __future__ import annotations

import hashlib
import json
import platform
from contextlib import suppress
from functools import cache
from importlib import metadata
from pathlib import Path
from typing import Any

import vtbench
from vtbench.errors import StoreError
from vtbench.store.files import read_json, write_atomic

_KEPT_FILES = 4
"""Versions of the code whose values are kept; those of older ones are deleted."""


class Remembered:
    """A mapping from text to plain values, on disk.

    Args:
        cache_dir: the store's folder for what can be made again; None keeps nothing. Where the store is not there yet
            nothing is written: a command that starts nothing makes no folder either.
    """

    def __init__(self, cache_dir: Path | None) -> None:
        keeps = cache_dir is not None and cache_dir.parent.is_dir()
        self._path = cache_dir / "remembered" / f"{code_hash()}.json" if keeps and cache_dir is not None else None
        self._held: dict[str, Any] = _load(self._path)
        self._new: dict[str, Any] = {}

    def get(self, key: str) -> Any:
        """Return the value of a key, None if it is not known."""
        return self._held.get(key)

    def put(self, key: str, value: Any, *, keep: bool = True) -> Any:
        """Hold a value and return it.

        Args:
            key: says all that decides the value, besides the code of this package.
            value: numbers, text, and lists or tuples of them, which come back as lists.
            keep: False where other code than this package's has a part in it, which may change: it is then held by this
                object alone.
        """
        self._held[key] = json.loads(json.dumps(value))
        if keep:
            self._new[key] = self._held[key]
        return self._held[key]

    def save(self) -> None:
        """Write what is new; a folder that cannot be written is no error, as everything can be found again."""
        if self._path is None or not self._new:
            return
        with suppress(StoreError):
            write_atomic(self._path, json.dumps({**_load(self._path), **self._new}), sync=False)
            files = sorted(self._path.parent.glob("*.json"), key=lambda path: path.stat().st_mtime)
            for path in files[:-_KEPT_FILES]:
                path.unlink(missing_ok=True)
        self._new = {}


@cache
def code_hash() -> str:
    """Return a hash of this package's source and of the packages that decide what its models are and cost."""
    digest = hashlib.sha256(f"{platform.python_version()}".encode())
    for name in ("torch", "fvcore", "numpy"):
        digest.update(f"{name} {metadata.version(name)}".encode())
    root = Path(vtbench.__file__).parent
    for path in sorted(root.rglob("*.py")):
        digest.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes())
    return digest.hexdigest()[:16]


def _load(path: Path | None) -> dict[str, Any]:
    """Return what a file holds; one that is missing or broken holds nothing."""
    if path is None:
        return {}
    try:
        held = read_json(path)
    except StoreError:
        return {}
    return held if isinstance(held, dict) else {}
