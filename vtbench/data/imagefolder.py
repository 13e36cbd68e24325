"""ImageNet's layout: `root/{train,val}/<class>/<image>`.

Listing 1.28 million files takes minutes on a network disk, so the listing is kept in the cache folder, together with
each class folder's modification time; only folders that changed are listed again.
"""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from vtbench.data.dataset import Split
from vtbench.data.encoded import EncodedConfig, EncodedImages, fixed_order
from vtbench.errors import DataError, suggest
from vtbench.schema.base import canonical_json, content_hash
from vtbench.store.files import read_json, write_atomic

SUFFIXES = (".jpg", ".jpeg", ".png", ".webp")
_LAYOUT = f"The layout is ROOT/{{train,val}}/CLASS/IMAGE, with images named *{{{','.join(SUFFIXES)}}}."


class ImageFolder(EncodedImages):
    """Image files in one folder a class; the classes are the folders under `train`, sorted.

    The content key covers the files' names and `release`, not their bytes.

    Raises:
        DataError: a folder is missing or holds no image.
    """

    class Config(EncodedConfig):
        """The options that all encoded photographs have."""

    def __init__(self, config: Config, split: Split, cache_dir: Path) -> None:
        self.config = config
        root = Path(config.root).expanduser()
        self._folder = _existing(root, split)
        listing = _listing(self._folder, cache_dir / "imagefolder")
        train = root / "train"
        self.label_names = tuple(_classes(train) if train.is_dir() else listing)
        unknown = sorted(set(listing) - set(self.label_names))
        if unknown:
            hint = suggest(unknown[0], self.label_names)
            raise DataError(f"{self._folder / unknown[0]} is a class that {train} does not have.{hint}")
        files = [f"{name}/{file}" for name, found in listing.items() for file in found]
        if not files:
            raise DataError(f"{self._folder} holds no image. {_LAYOUT}")
        labels = [label for label, name in enumerate(self.label_names) for _ in listing.get(name, ())]
        order = fixed_order(len(files))
        self._files = np.array(files)[order]
        self.labels = np.array(labels, dtype=np.int64)[order]
        self.content_key = content_hash(["imagefolder", config.release, split, files])

    def read(self, index: int) -> tuple[bytes, str]:
        """Return a file's bytes and path."""
        path = self._folder / str(self._files[index])
        try:
            return path.read_bytes(), str(path)
        except OSError as error:
            raise DataError(f"Cannot read {path}: {error.strerror}.") from error


def _existing(root: Path, split: Split) -> Path:
    """Return the split's folder, or raise a `DataError` that names what is there instead."""
    for folder in (root, root / split):
        if not folder.is_dir():
            siblings = [entry.name for entry in folder.parent.iterdir()] if folder.parent.is_dir() else []
            hint = suggest(folder.name, siblings)
            raise DataError(f"There is no folder {folder}.{hint} Set data.root to the data set's folder. {_LAYOUT}")
    return root / split


def _classes(folder: Path) -> list[str]:
    with os.scandir(folder) as entries:
        return sorted(entry.name for entry in entries if entry.is_dir() and not entry.name.startswith("."))


def _listing(folder: Path, cache_dir: Path) -> dict[str, Sequence[str]]:
    """Return each class's image files, sorted; folders unchanged since the last listing come from the cache."""
    cache = cache_dir / f"{hashlib.sha256(str(folder.resolve()).encode()).hexdigest()[:12]}.json"
    known: dict[str, Any] = read_json(cache) if cache.exists() else {}
    listing: dict[str, Any] = {}
    for name in _classes(folder):
        changed = (folder / name).stat().st_mtime_ns
        held = known.get(name)
        if held is None or held["mtime_ns"] != changed:
            with os.scandir(folder / name) as entries:
                files = sorted(entry.name for entry in entries if entry.name.lower().endswith(SUFFIXES))
            held = {"mtime_ns": changed, "files": files}
        listing[name] = held
    if listing != known:
        write_atomic(cache, canonical_json(listing))
    return {name: held["files"] for name, held in listing.items()}
