"""A tokenizer's codes of a data set's images, made once and memory-mapped ever after.

```
<cache>/tokens/<key>/about.json           what decides the codes
<cache>/tokens/<key>/codes.npy            (images, resolutions, views, num_codebooks, tokens), smallest integer type
<cache>/tokens/<key>/chunks/<number>.npy  codes of some images, until all are there
```

The key is a hash of the tokenizer's weights, the images, and what is encoded of them, never of a name. Chunks appear
whole or not at all: a process that was killed goes on with what is missing, and the processes of a run share the chunks
out. Where their bounds lie depends on nothing but the data, so the codes do not either.
"""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
import torch
from jaxtyping import Float32, UInt, UInt8
from torch import Tensor

from vtbench import distributed
from vtbench.data.dataset import ImageDataset, Size
from vtbench.distributed import collectives
from vtbench.errors import StoreError
from vtbench.schema.base import content_hash, parse_resolution
from vtbench.schema.run import TokensConfig
from vtbench.seeding import rng
from vtbench.store.files import replacing, write_atomic

VERSION = 1
"""Raised whenever the same tokenizer and images would give other codes."""

CHUNK_IMAGES = 256
BATCH_VIEWS = 64

Encode = Callable[[Float32[Tensor, "batch 3 height width"]], Tensor]
"""Images in [0, 1] -> codes (batch, num_codebooks, tokens)."""
Codes = UInt[np.ndarray, "images resolutions views num_codebooks tokens"]


@dataclass(frozen=True, kw_only=True)
class TokensKey:
    """All that decides the codes, beside the views.

    Attributes:
        weights: digest of the tokenizer's weights.
        precision: in which it runs.
        images: content key of the data set.
    """

    weights: str
    precision: str
    images: str


class TokenCache:
    """The codes of one data set by one tokenizer.

    Args:
        cache_dir: the store's folder of what can be made again.
        key: which tokenizer, which images.
        config: resolutions, length, crops and flips.
    """

    def __init__(self, cache_dir: Path, key: TokensKey, config: TokensConfig) -> None:
        self.config = config
        self._about = {"version": VERSION, **asdict(key), **json.loads(config.model_dump_json())}
        self.folder = cache_dir / "tokens" / content_hash(self._about)
        self.path = self.folder / "codes.npy"

    @property
    def num_views(self) -> int:
        """How often an image is there at each resolution: its crops, and their mirror images after each."""
        return self.config.crops * (2 if self.config.flip else 1)

    def codes(self) -> Codes:
        """Return the codes, memory-mapped and read-only.

        Raises:
            StoreError: they have not been made, or the file is broken.
        """
        try:
            array: np.ndarray = np.load(self.path, mmap_mode="r", allow_pickle=False)
        except (OSError, ValueError, EOFError) as error:
            raise StoreError(f"{self.path} holds no tokens ({error}). Delete it to have them made again.") from error
        return array

    def fill(
        self, dataset: ImageDataset, encode: Encode, codebook_size: int, on_progress: Callable[[int, int], None]
    ) -> None:
        """Encode what is missing; all processes of a run call it together.

        Args:
            dataset: the images.
            encode: the tokenizer.
            codebook_size: entries of each of its codebooks.
            on_progress: told how many of how many images are done.

        Raises:
            StoreError: the disk is full, or cannot be written to.
        """
        if not collectives.any_true(not self.path.exists()):
            return
        dataset.prepare([parse_resolution(resolution) for resolution in self.config.resolutions])
        num_chunks = -(-len(dataset) // CHUNK_IMAGES)
        for number in range(distributed.rank(), num_chunks, distributed.world_size()):
            if self.path.exists():
                break  # another run needed the same, and was faster
            chunk = range(number * CHUNK_IMAGES, min(len(dataset), (number + 1) * CHUNK_IMAGES))
            if not (path := self._chunk(number)).exists():
                codes = self._encoded(dataset, chunk, encode)
                with replacing(path) as file:
                    np.save(file, codes.astype(np.min_scalar_type(codebook_size - 1)), allow_pickle=False)
            on_progress(chunk.stop, len(dataset))
        collectives.barrier()
        if distributed.is_main() and not self.path.exists():
            self._join(len(dataset), num_chunks)
        collectives.barrier()

    def _encoded(self, dataset: ImageDataset, chunk: range, encode: Encode) -> np.ndarray:
        """Return the codes of some images, in batches of one size each."""
        found = []
        for resolution in self.config.resolutions:
            views = self._views(dataset, chunk, parse_resolution(resolution))
            batches = (batch.float().div_(255) for batch in views.split(BATCH_VIEWS))
            codes = torch.cat([encode(batch).cpu() for batch in batches])
            found.append(codes.unflatten(0, (len(chunk), self.num_views)))
        return torch.stack(found, dim=1).numpy()

    def _views(self, dataset: ImageDataset, chunk: range, size: Size) -> UInt8[Tensor, "views 3 height width"]:
        """Return the views of some images: the same crops at every size, whichever run asks for them."""
        found = []
        for index in chunk:
            for crop in range(self.config.crops):
                draw = rng(0, "token view", index, crop)
                view, _ = dataset.training_pair([index], size, size, draw, flip=False)
                found += [view, view.flip(3)] if self.config.flip else [view]
        return torch.cat(found)

    def _chunk(self, number: int) -> Path:
        return self.folder / "chunks" / f"{number:06d}.npy"

    def _join(self, num_images: int, num_chunks: int) -> None:
        """Write all codes as one file, a chunk in memory at a time, and drop the chunks."""
        write_atomic(self.folder / "about.json", json.dumps(self._about, indent=1, sort_keys=True))
        done = 0
        try:
            with replacing(self.path) as file:
                for number in range(num_chunks):
                    chunk = np.load(self._chunk(number), allow_pickle=False)
                    if not done:
                        shape = (num_images, *chunk.shape[1:])
                        whole = np.lib.format.open_memmap(file.name, mode="w+", dtype=chunk.dtype, shape=shape)
                        if hasattr(os, "posix_fallocate"):  # a full disk is then an error here, not a bus error later
                            os.posix_fallocate(file.fileno(), 0, os.fstat(file.fileno()).st_size)
                    whole[done : done + len(chunk)] = chunk
                    done += len(chunk)
                whole.flush()
        except FileNotFoundError as error:
            if not self.path.exists():
                raise StoreError(f"{error.filename} is gone; run the same again.") from error
        except (ValueError, EOFError) as error:
            raise StoreError(f"{self._chunk(number)} is broken ({error}). Delete it and run the same again.") from error
        shutil.rmtree(self.folder / "chunks", ignore_errors=True)
