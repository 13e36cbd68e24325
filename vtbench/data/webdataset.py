"""Shards: tar files whose members come in pairs, `KEY.jpg` and `KEY.cls` (the class as a decimal number).

WebDataset's layout without its library and without streaming. Each shard is indexed once (where each image lies in
it) and then read by seeking, so that shuffling is exact, an epoch sees each image once, and a resumed run goes on at
any step.
"""

from __future__ import annotations

import hashlib
import re
import tarfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
from pydantic import PositiveInt

from vtbench.data.dataset import Split
from vtbench.data.encoded import EncodedConfig, EncodedImages, fixed_order
from vtbench.errors import DataError, suggest
from vtbench.schema.base import canonical_json, content_hash
from vtbench.store.files import read_json, write_atomic

_IMAGES = ("jpg", "jpeg", "png", "webp")
_BRACES = re.compile(r"\{([^{}]*)\}")
_RANGE = re.compile(r"(\d+)\.\.(\d+)")


class WebDataset(EncodedImages):
    """Images in uncompressed tar files.

    The content key covers the shards' names, the members' names, places, sizes and classes, and `release`.

    Raises:
        DataError: a shard is missing or broken, an image has no class, or a pattern is malformed.
    """

    class Config(EncodedConfig):
        """The options that all encoded photographs have, and which shards there are.

        Attributes:
            train_shards: names under `root`: a range `train-{000000..000009}.tar` or a list `{a,b}.tar`.
            val_shards: the same of the validation split.
            num_classes: classes are numbered from 0 to one below this.
        """

        train_shards: str = "train-{000000..000009}.tar"
        val_shards: str = "val-{000000..000000}.tar"
        num_classes: PositiveInt = 1000

    def __init__(self, config: Config, split: Split, cache_dir: Path) -> None:
        self.config = config
        field = f"{split}_shards"
        names = expand_braces(getattr(config, field), f"data.{field}")
        root = Path(config.root).expanduser()
        self._paths = [root / name for name in names]
        _check_present(root, names, f"data.{field}")
        indexes = [_index(path, cache_dir / "webdataset") for path in self._paths]
        keys = np.array([key for index in indexes for key in index["keys"]])
        if not len(keys):
            raise DataError(f"The shards {getattr(config, field)} in {root} hold no image (KEY.jpg with KEY.cls).")
        order = fixed_order(len(keys))
        self._keys = keys[order]
        self._shards = np.repeat(np.arange(len(indexes)), [len(index["keys"]) for index in indexes])[order]
        self._offsets, self._sizes, self.labels = (
            np.concatenate([np.array(index[column], dtype=np.int64) for index in indexes])[order]
            for column in ("offsets", "sizes", "labels")
        )
        self.label_names = tuple(map(str, range(config.num_classes)))
        wrong = np.flatnonzero((self.labels < 0) | (self.labels >= config.num_classes)).tolist()
        if wrong:
            raise DataError(
                f"{self._name(wrong[0])} has the class {self.labels[wrong[0]]}, but data.num_classes is"
                f" {config.num_classes}, so classes are 0 to {config.num_classes - 1}."
            )
        contents = [{key: index[key] for key in ("keys", "offsets", "sizes", "labels")} for index in indexes]
        self.content_key = content_hash(["webdataset", config.release, split, names, contents])

    def _name(self, index: int) -> str:
        return f"{self._paths[self._shards[index]]}:{self._keys[index]}"

    def read(self, index: int) -> tuple[bytes, str]:
        """Return a member's bytes, and its name as `SHARD:KEY`."""
        try:
            with self._paths[self._shards[index]].open("rb") as shard:
                shard.seek(int(self._offsets[index]))
                return shard.read(int(self._sizes[index])), self._name(index)
        except OSError as error:
            raise DataError(f"Cannot read {self._name(index)}: {error.strerror}.") from error


def expand_braces(pattern: str, place: str) -> list[str]:
    """Return the names that a pattern stands for, in order: `{08..10}` counts with leading zeros, `{a,b}` lists.

    Raises:
        DataError: a brace holds neither, or a range runs backwards; the message names `place`.
    """
    brace = _BRACES.search(pattern)
    if brace is None:
        if "{" in pattern or "}" in pattern:
            raise DataError(f"{place}: '{pattern}' has a brace without its partner.")
        return [pattern]
    span = _RANGE.fullmatch(brace[1])
    if span is not None and int(span[1]) <= int(span[2]):
        values = [str(number).zfill(len(span[1])) for number in range(int(span[1]), int(span[2]) + 1)]
    elif span is None and "," in brace[1]:
        values = brace[1].split(",")
    else:
        raise DataError(f"{place}: '{brace[0]}' is neither a rising range like {{000..009}} nor a list like {{a,b}}.")
    tails = expand_braces(pattern[brace.end() :], place)
    return [pattern[: brace.start()] + value + tail for value in values for tail in tails]


def _check_present(root: Path, names: list[str], place: str) -> None:
    if not root.is_dir():
        siblings = [entry.name for entry in root.parent.iterdir()] if root.parent.is_dir() else []
        raise DataError(
            f"There is no folder {root}.{suggest(root.name, siblings)} Set data.root to the shards' folder."
        )
    missing = [name for name in names if not (root / name).is_file()]
    if missing:
        hint = suggest(missing[0], [path.name for path in root.glob("*.tar")])
        raise DataError(f"{place}: {len(missing)} of {len(names)} shards are missing, first {root / missing[0]}.{hint}")


def _index(path: Path, cache_dir: Path) -> dict[str, Any]:
    """Return `keys`, `offsets`, `sizes` and `labels` of a shard's images; from the cache if the file is unchanged."""
    state = {"size": path.stat().st_size, "mtime_ns": path.stat().st_mtime_ns}
    cache = cache_dir / f"{hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]}.json"
    if cache.exists():
        index: dict[str, Any] = read_json(cache)
        if index["state"] == state:
            return index
    rows = sorted(_pairs(path))
    columns = zip(*rows, strict=True) if rows else ([], [], [], [])
    index = {"state": state, **dict(zip(("keys", "offsets", "sizes", "labels"), map(list, columns), strict=True))}
    write_atomic(cache, canonical_json(index))
    return index


def _pairs(path: Path) -> Iterator[tuple[str, int, int, int]]:
    """Yield (key, offset of the image's bytes, their number, class) of each pair in a shard."""
    images: dict[str, tuple[int, int]] = {}
    labels: dict[str, int] = {}
    try:
        with tarfile.open(path, "r:") as shard:
            for member in shard:
                folder, _, file = member.name.rpartition("/")
                stem, _, suffix = file.partition(".")
                key = f"{folder}/{stem}" if folder else stem
                if not member.isfile() or suffix.lower() not in (*_IMAGES, "cls"):
                    continue
                if key in (labels if suffix == "cls" else images):
                    raise DataError(f"{path} holds '{member.name}' twice.")
                if suffix == "cls":
                    content = shard.extractfile(member)
                    assert content is not None
                    labels[key] = int(content.read())
                else:
                    images[key] = (member.offset_data, member.size)
    except tarfile.TarError as error:
        raise DataError(f"{path} is not an uncompressed tar file, or is cut off ({error}).") from error
    except ValueError as error:
        raise DataError(f"{path}:{member.name} does not hold a class number ({error}).") from error
    lonely = sorted(images.keys() ^ labels.keys())
    if lonely:
        raise DataError(f"{path}: '{lonely[0]}' has only one of an image ({', '.join(_IMAGES)}) and a .cls.")
    yield from ((key, *images[key], labels[key]) for key in images)
