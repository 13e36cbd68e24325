"""The codes that a generator has sampled, kept on disk batch by batch.

Codes are small - 50,000 images of 65 tokens in 8 codebooks are 52 MB - and all that decoding at another size or from a
shorter prefix needs, so tokens are sampled once for each way of sampling. A batch is one file, written whole or not at
all: sampling that was killed goes on with the next batch, and processes that share a folder sample different batches.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int
from torch import Tensor

from vtbench.evaluate.array_cache import load_array, making, save_array
from vtbench.schema.base import content_hash

_MOST_OF_16_BITS = 2**16


class SampledCodes:
    """Codes of images 0, 1, ..., sampled when they are first asked for.

    Args:
        folder: of the run; each way of sampling has a folder below it.
        about: all that decides the codes: weights, labels, seeds, the way of sampling, number of tokens.
        batch_size: images of a batch.
        codebook_size: entries of the largest codebook.
        sample: positions of a batch's images -> their codes, on any device.
    """

    def __init__(
        self,
        folder: Path,
        about: Mapping[str, Any],
        batch_size: int,
        codebook_size: int,
        sample: Callable[[range], Int[Tensor, "batch num_codebooks tokens"]],
    ) -> None:
        self.folder = folder / content_hash({**about, "batch_size": batch_size})
        self._batch_size, self._sample = batch_size, sample
        self._dtype = np.uint16 if codebook_size <= _MOST_OF_16_BITS else np.int32

    def of(self, positions: range) -> Int[Tensor, "batch num_codebooks tokens"]:
        """Return the codes of a batch's images, on the CPU.

        Args:
            positions: a whole batch, or the last one: they start at a multiple of the batch size.

        Raises:
            StoreError: a file is not a whole array.
        """
        assert positions.start % self._batch_size == 0
        assert len(positions) <= self._batch_size
        path = self.folder / f"{positions.start // self._batch_size:06d}-{len(positions)}.npy"
        found = load_array(path)
        if found is None:
            with making(path):
                found = load_array(path)
                if found is None:
                    found = self._sample(positions).cpu().numpy().astype(self._dtype)
                    save_array(path, found)
        return torch.from_numpy(found.astype(np.int64))

    def some(self, positions: list[int], total: int) -> Int[Tensor, "num num_codebooks tokens"]:
        """Return the codes of any of `total` images, in the order of `positions`; their whole batches are sampled."""
        starts = sorted({position - position % self._batch_size for position in positions})
        codes: dict[int, Tensor] = {}
        for start in starts:
            batch = range(start, min(start + self._batch_size, total))
            codes |= dict(zip(batch, self.of(batch), strict=True))
        return torch.stack([codes[position] for position in positions])
