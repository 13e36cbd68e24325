"""Finite scalar quantisation (Mentzer et al. 2023, arXiv:2309.15505): each channel is rounded to one of a few levels.

A channel z with L levels is bounded to `tanh(z + shift) h - offset`, h = (L - 1)(1 + 0.001) / 2, offset 1/2 and
shift = atanh(offset / h) for even L, both 0 for odd ones; then rounded, straight-through, and divided by L // 2. A
code is the number in mixed radix whose digits are the levels, the first channel's the lowest. There is no loss.

Bounds, codes and their order are those of vector-quantize-pytorch, which the tests compare with. It is not what runs
here: importing it takes as long as importing torch, and it cannot pass latents bounded but not rounded, which is what
`warmup_steps` are: the decoder meets the range of values that it will see.
"""

from __future__ import annotations

import math
from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field, PositiveInt
from torch import Tensor

from vtbench.models.nn.precision import full_precision
from vtbench.models.quantizers.base import Quantizer, QuantizerConfig, WarmUp, usage
from vtbench.models.quantizers.output import QuantizerOutput

_EPS = 1e-3


class FsqConfig(QuantizerConfig):
    """Levels of each channel of a codebook, and how many codebooks; channels = levels x codebooks."""

    name: Literal["fsq"] = "fsq"
    levels: tuple[int, ...] = Field(min_length=1)
    num_codebooks: PositiveInt = 1

    def check(self, channels: int) -> None:
        """Raise a `ValueError` if there is not one channel for each level of each codebook, or a level below 3."""
        if min(self.levels) < 3:
            raise ValueError(f"levels {list(self.levels)}: at least 3 are needed in each channel")
        needed = len(self.levels) * self.num_codebooks
        if channels != needed:
            raise ValueError(
                f"latent_width {channels} does not fit levels {list(self.levels)} in {self.num_codebooks} codebooks:"
                f" it must be {needed}"
            )


class FiniteScalarQuantizer(Quantizer, WarmUp):
    """Rounds each channel to its levels.

    Args:
        config: the levels.
        channels: width of the latents.
        warmup_steps: training steps at first whose latents are bounded but not rounded.
    """

    Config: ClassVar[type[QuantizerConfig]] = FsqConfig

    def __init__(self, config: FsqConfig, channels: int, warmup_steps: int = 0) -> None:
        super().__init__()
        config.check(channels)
        self.levels = config.levels
        self.codebook_sizes = (math.prod(config.levels),) * config.num_codebooks
        self.start_warmup(warmup_steps)

    def _constants(self, like: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return h, offset and half width of each channel of a codebook."""
        levels = torch.tensor(self.levels, dtype=torch.float32, device=like.device)
        return (levels - 1) * (1 + _EPS) / 2, torch.where(levels % 2 == 0, 0.5, 0.0), levels.div(2).floor()

    def forward(self, latents: Float[Tensor, "batch tokens channels"]) -> QuantizerOutput:
        """Quantise latents; the loss is 0."""
        with full_precision(latents):
            z = latents.float().unflatten(-1, (len(self.codebook_sizes), -1))
            h, offset, half_width = self._constants(z)
            bounded = torch.tanh(z + torch.atanh(offset / h)) * h - offset
            rounded = bounded + (bounded.round() - bounded).detach()
            digits = rounded.detach().round().long() + half_width.long()
            basis = torch.tensor([math.prod(self.levels[:i]) for i in range(len(self.levels))], device=z.device)
            indices = (digits * basis).sum(-1).transpose(1, 2)
            passed = bounded if self.training and self.warming_up() else rounded
            z_q = (passed / half_width).flatten(2)
        return QuantizerOutput(
            z_q=z_q.to(latents.dtype),
            indices=indices,
            loss=torch.zeros((), device=latents.device),
            stats={"codebook_usage": usage(indices, self.codebook_sizes[0])},
        )

    def lookup(self, indices: Int[Tensor, "batch num_codebooks tokens"]) -> Float[Tensor, "batch tokens channels"]:
        """Return the levels that codes stand for, in [-1, 1]."""
        _, _, half_width = self._constants(indices)
        left, digits = indices.transpose(1, 2), []
        for count in self.levels:
            digits.append(left % count)
            left = left // count
        return ((torch.stack(digits, dim=-1) - half_width) / half_width).flatten(2)
