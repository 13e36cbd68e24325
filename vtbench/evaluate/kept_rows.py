"""The rows that a pass leaves on disk, in chunks while it runs and as one array a quantity when it has ended.

```
<folder>/<id>/about.json                          what decides the rows: protocol, weights
<folder>/<id>/<quantity>-<hash>.npy               all rows, in the order of the images
<folder>/<id>/chunks.json                         digest of each chunk's reference images
<folder>/<id>/chunks/<number>-<hash>.npz          rows of one chunk, until all are there
<folder>/<id>/<metric>-v<version>-<protocol>.json the arrays that a value was computed from
```

A chunk's file appears whole or not at all, so that it is its own mark of being done: a pass that was killed goes on
with the chunks that are missing, and processes that share a folder write different files. NumPy alone: reports read
rows to compare runs image by image.
"""

from __future__ import annotations

import json
import os
import shutil
import zipfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from vtbench.errors import StoreError
from vtbench.evaluate.array_cache import load_array, making
from vtbench.schema.base import content_hash
from vtbench.schema.record import MetricValue
from vtbench.store.files import read_json, replacing, write_atomic

DIGEST = "digest"
"""Name, in a chunk's file, of the digest of its reference images."""


class KeptRows:
    """The rows of one set of images.

    Args:
        folder: for example `<root>/runs/<run_id>/measured/<point>`.
        about: all that decides the rows beside the quantities: other values, other rows.
        num_chunks: parts in which they are taken.
    """

    def __init__(self, folder: Path, about: Mapping[str, Any], num_chunks: int) -> None:
        self.folder = folder / content_hash({**about, "num_chunks": num_chunks})
        self._about = dict(about)
        self._num_chunks = num_chunks
        self._chunks = self.folder / "chunks"
        self._digests = self.folder / "chunks.json"

    def path(self, name: str) -> Path:
        """Return where all rows called `name` lie when they are complete."""
        return self.folder / f"{name}.npy"

    def complete(self, names: Iterable[str]) -> set[str]:
        """Return those of `names` whose rows are complete."""
        return {name for name in names if self.path(name).exists()}

    def digests(self) -> list[str] | None:
        """Return the digest of each chunk's reference images, or None before all chunks are done."""
        return read_json(self._digests) if self._digests.exists() else None

    def digest(self, number: int) -> str | None:
        """Return the digest of one chunk's reference images, or None if the chunk has not been done."""
        whole = self.digests()
        if whole is not None:
            return whole[number]
        found = [_read(path, DIGEST) for path in self._files(number)]
        return next((str(digest) for digest in found if digest is not None), None)

    def in_chunk(self, number: int) -> set[str]:
        """Return the names of the rows that one chunk has."""
        return {name for path in self._files(number) for name in _members(path)} - {DIGEST}

    def chunk_path(self, number: int, names: Iterable[str]) -> Path:
        """Return the file that holds, or will hold, the rows called `names` of one chunk."""
        return self._chunks / f"{number:06d}-{content_hash(sorted(names))}.npz"

    def write_chunk(self, path: Path, rows: Mapping[str, np.ndarray], digest: str) -> None:
        """Write rows of one chunk to its `chunk_path`, whole or not at all."""
        with replacing(path) as file:
            arrays: dict[str, Any] = {DIGEST: np.array(digest), **rows}
            np.savez(file, **arrays)

    def finish(self, names: Sequence[str], num_rows: int) -> None:
        """Join the chunks into one array a name, `num_rows` long, and drop them; one process does so, others wait.

        Raises:
            StoreError: chunks lack rows.
        """
        with making(self._digests):
            for name in names:
                if not self.path(name).exists():
                    self._join(name, num_rows)
            if self.digests() is None:
                write_atomic(self.folder / "about.json", json.dumps(self._about, indent=1, sort_keys=True))
                write_atomic(self._digests, json.dumps([self.digest(number) for number in range(self._num_chunks)]))
            shutil.rmtree(self._chunks, ignore_errors=True)

    def forget(self) -> None:
        """Delete all rows: they are of other images."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _files(self, number: int) -> list[Path]:
        return sorted(self._chunks.glob(f"{number:06d}-*.npz"))

    def _join(self, name: str, num_rows: int) -> None:
        """Write all rows called `name`, one chunk in memory at a time."""
        files = [path for number in range(self._num_chunks) for path in self._files(number) if name in _members(path)]
        done = 0
        with replacing(self.path(name)) as file:
            for path in files:
                rows = _read(path, name)
                assert rows is not None  # nobody else drops chunks while this process joins them
                if not done:
                    whole = np.lib.format.open_memmap(
                        file.name, mode="w+", dtype=rows.dtype, shape=(num_rows, *rows.shape[1:])
                    )
                whole[done : done + len(rows)] = rows
                done += len(rows)
            if done != num_rows:
                raise StoreError(f"{self._chunks} has {done} of {num_rows} rows of {name}. Delete it, measure again.")
            whole.flush()


def _members(path: Path) -> list[str]:
    """Return the names in a chunk's file; none if another process has joined the chunks meanwhile."""
    with _opened(path) as file:
        return [] if file is None else list(file.files)


def _read(path: Path, name: str) -> np.ndarray | None:
    """Return an array of a chunk's file, or None if another process has joined the chunks meanwhile."""
    with _opened(path) as file:
        return None if file is None else file[name]


@contextmanager
def _opened(path: Path) -> Iterator[Any]:
    try:
        raw = path.open("rb")
    except FileNotFoundError:
        yield None
        return
    with raw:
        try:
            arrays = np.load(raw, allow_pickle=False)
        except (ValueError, EOFError, zipfile.BadZipFile) as error:
            raise StoreError(f"{path} is broken ({error}). Delete it to have it made again.") from error
        with arrays:
            yield arrays


class Rows(Mapping[str, np.ndarray]):
    """Arrays that are opened when they are asked for.

    Args:
        files: key of a quantity -> the arrays to be joined, in order.
    """

    def __init__(self, files: Mapping[str, Sequence[Path]]) -> None:
        self.files = files

    def __getitem__(self, key: str) -> np.ndarray:
        """Return the rows of a quantity: memory-mapped where they are one array.

        Raises:
            KeyError: there is no such quantity.
            StoreError: an array is gone or broken.
        """
        parts = []
        for path in self.files[key]:
            part = load_array(path, mapped=True)
            if part is None:
                raise StoreError(f"{path} is gone; measure again.")
            parts.append(part)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def __iter__(self) -> Iterator[str]:
        return iter(self.files)

    def __len__(self) -> int:
        return len(self.files)


def write_index(
    folder: Path, value: MetricValue, files: Mapping[str, Sequence[Path]], params: Mapping[str, Any] | None = None
) -> None:
    """Say in `folder` which arrays a value was computed from.

    Args:
        folder: `KeptRows.folder`.
        value: as it is stored.
        files: key of a quantity -> the arrays to be joined, in order.
        params: what else came out (`Result.params`).
    """
    relative = {key: [os.path.relpath(path, folder) for path in paths] for key, paths in files.items()}
    index = {"value": value.key, "params": dict(params or {}), "rows": relative}
    write_atomic(_index(folder, value), json.dumps(index, indent=1), sync=False)


def rows_of(point_folder: Path, value: MetricValue) -> Rows | None:
    """Return the rows that a stored value was computed from, by the keys of their quantities.

    Args:
        point_folder: `Store.measured_dir(run_id) / point_name(...)` of the value's point.
        value: a value in the run's record.

    Returns:
        None if they are not, or no longer, on disk.
    """
    for path in sorted(point_folder.glob(f"*/{_index(point_folder, value).name}")):
        index = read_json(path)
        files = {key: [path.parent / name for name in names] for key, names in index["rows"].items()}
        if index["value"] == value.key and all(file.exists() for paths in files.values() for file in paths):
            return Rows(files)
    return None


def point_name(resolution: str, num_tokens: int | None, route: str | None = None) -> str:
    """Return the folder of a point, for example `256x256_Lfull`."""
    way = "" if route is None else f"_{route}"
    return f"{resolution}_L{'full' if num_tokens is None else num_tokens}{way}"


def _index(folder: Path, value: MetricValue) -> Path:
    return folder / f"{value.name}-v{value.metric_version}-{value.protocol}.json"
