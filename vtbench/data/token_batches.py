"""Batches of cached tokens: which images, and which of their views, a generator's training step sees.

As with images (`vtbench.data.mixing`), a batch is a pure function of the seed and the step, and the processes of a run
together see what one would.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor

from vtbench.data.order import StepOrder
from vtbench.data.token_cache import Codes
from vtbench.schema.base import parse_resolution
from vtbench.schema.run import TrainConfig
from vtbench.seeding import rng


@dataclass(frozen=True, kw_only=True)
class TokenBatch:
    """One process's share of a step.

    Attributes:
        codes: of each image.
        labels: class of each image.
        heights, widths: size in pixels at which each was encoded.
        places: place of each image in the step's batch, of all processes together.
    """

    codes: Int64[Tensor, "batch num_codebooks tokens"]
    labels: Int64[Tensor, " batch"]
    heights: Float32[Tensor, " batch"]
    widths: Float32[Tensor, " batch"]
    places: Int64[Tensor, " batch"]

    @property
    def num_images(self) -> int:
        """How many images these are."""
        return len(self.labels)

    def to(self, device: torch.device) -> TokenBatch:
        """Return the batch on a device."""
        return TokenBatch(**{field.name: getattr(self, field.name).to(device) for field in fields(self)})

    def split(self, num_parts: int) -> list[TokenBatch]:
        """Return the batch in equal parts, in order; `num_parts` must divide it."""
        size = self.num_images // num_parts
        parts = zip(*(getattr(self, field.name).split(size) for field in fields(self)), strict=True)
        return [TokenBatch(**dict(zip((field.name for field in fields(self)), part, strict=True))) for part in parts]


class TokenBatches:
    """The batches of a generator's training, by step.

    Args:
        codes: of all images, as `TokenCache.codes` returns them.
        labels: class of each image.
        resolutions: those of the codes, in their order.
        config: the generator's training section.
        seed: the run's seed.

    Raises:
        DataError: the batch cannot be divided among the processes and their parts.
    """

    def __init__(
        self,
        codes: Codes,
        labels: Int64[np.ndarray, " images"],
        resolutions: Sequence[str],
        config: TrainConfig,
        seed: int,
    ) -> None:
        self._codes, self._labels, self._seed = codes, labels, seed
        self._sizes = np.array([parse_resolution(resolution) for resolution in resolutions], dtype=np.float32)
        self.order = StepOrder(len(codes), config.batch_size, seed, config.grad_accumulation, "generator.train")

    def batch(self, step: int) -> TokenBatch:
        """Return this process's share of a step: of each image one view at one resolution, drawn evenly."""
        _, num_resolutions, num_views, _, _ = self._codes.shape
        draw = rng(self._seed, "view", step)
        resolutions = draw.integers(num_resolutions, size=self.order.batch_size)
        views = draw.integers(num_views, size=self.order.batch_size)
        places = np.asarray(self.order.places())
        images = np.asarray(self.order.indices(step))[places]
        heights, widths = self._sizes[resolutions[places]].T
        codes = self._codes[images, resolutions[places], views[places]].astype(np.int64)
        return TokenBatch(
            codes=torch.from_numpy(codes),
            labels=torch.from_numpy(self._labels[images]),
            heights=torch.from_numpy(heights.copy()),
            widths=torch.from_numpy(widths.copy()),
            places=torch.from_numpy(places),
        )

    def iterate(self, first_step: int, end_step: int) -> Iterator[TokenBatch]:
        """Yield the batches of steps `first_step` up to, but without, `end_step`."""
        yield from map(self.batch, range(first_step, end_step))
