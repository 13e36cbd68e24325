"""Lookup-free quantisation (Yu et al. 2024, arXiv:2310.05737): the sign of each channel is a bit of the code.

Straight-through gradient; loss `beta ||sg(q) - z||^2 + entropy_weight (E[H(p)] - H(E[p]))`, where p is the softmax of
`2 z . c / temperature` over all codes c of a codebook. Weights, temperature and the order of bits (the first channel's
is the lowest) are those of Open-MAGVIT2.

Written out and not taken from vector-quantize-pytorch, which the tests compare the quantised values with: its average
over processes is none (the sum of `all_reduce` is dropped), and outside training it lets no gradient through, so that
the count of a training step's FLOPs would miss the encoder. The entropy's product with all codes belongs to the loss,
which exists in training only, and is not in those counts. `warmup_steps` pass `tanh(z)`: not quantised, and in the
range of values that the decoder will see.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor

from vtbench.models.nn.precision import full_precision
from vtbench.models.quantizers.base import Quantizer, QuantizerConfig, WarmUp, usage
from vtbench.models.quantizers.entropy import entropy_loss
from vtbench.models.quantizers.output import QuantizerOutput


class LfqConfig(QuantizerConfig):
    """Bits of a codebook, and how many codebooks; channels = bits x codebooks."""

    name: Literal["lfq"] = "lfq"
    num_bits: int = Field(ge=1, le=24)
    num_codebooks: PositiveInt = 1
    commitment: NonNegativeFloat = 0.25
    entropy_weight: NonNegativeFloat = 0.1
    temperature: PositiveFloat = 0.01

    def check(self, channels: int) -> None:
        """Raise a `ValueError` if there is not one channel for each bit."""
        needed = self.num_bits * self.num_codebooks
        if channels != needed:
            raise ValueError(
                f"latent_width {channels} does not fit {self.num_codebooks} codebooks of {self.num_bits} bits:"
                f" it must be {needed}"
            )


class LookupFreeQuantizer(Quantizer, WarmUp):
    """Takes the sign of each channel.

    Args:
        config: bits and weights.
        channels: width of the latents.
        warmup_steps: training steps at first whose latents are bounded but not quantised.
    """

    Config: ClassVar[type[QuantizerConfig]] = LfqConfig

    def __init__(self, config: LfqConfig, channels: int, warmup_steps: int = 0) -> None:
        super().__init__()
        config.check(channels)
        self.config = config
        self.codebook_sizes = (2**config.num_bits,) * config.num_codebooks
        self.start_warmup(warmup_steps)

    def _powers(self, like: Tensor) -> Int[Tensor, " bits"]:
        return 2 ** torch.arange(self.config.num_bits, device=like.device)

    def forward(self, latents: Float[Tensor, "batch tokens channels"]) -> QuantizerOutput:
        """Quantise latents; the entropy's part of the loss is there in training only."""
        with full_precision(latents):
            z = latents.float().unflatten(-1, (self.config.num_codebooks, -1))
            signs = torch.where(z.detach() > 0, 1.0, -1.0)
            indices = ((signs > 0).long() * self._powers(z)).sum(-1).transpose(1, 2)
            stats = {"codebook_usage": usage(indices, self.codebook_sizes[0])}
            if self.training and self.warming_up():
                zero = torch.zeros((), device=latents.device)
                z_q = torch.tanh(z).flatten(2).to(latents.dtype)
                return QuantizerOutput(z_q=z_q, indices=indices, loss=zero, stats=stats)
            loss = self.config.commitment * (signs - z).pow(2).mean()
            if self.training and self.config.entropy_weight:
                loss = loss + self.config.entropy_weight * self._entropy(z)
            z_q = (z + (signs - z).detach()).flatten(2)
        return QuantizerOutput(z_q=z_q.to(latents.dtype), indices=indices, loss=loss, stats=stats)

    def _entropy(self, z: Float[Tensor, "batch tokens num_codebooks bits"]) -> Float[Tensor, ""]:
        codes = self._signs(torch.arange(self.codebook_sizes[0], device=z.device))
        vectors = z.flatten(0, 1).transpose(0, 1)
        return entropy_loss(2 * vectors @ codes.T, self.config.temperature)

    def _signs(self, indices: Int[Tensor, "*shape"]) -> Float[Tensor, "*shape bits"]:
        return ((indices[..., None] // self._powers(indices)) % 2 * 2 - 1).float()

    def lookup(self, indices: Int[Tensor, "batch num_codebooks tokens"]) -> Float[Tensor, "batch tokens channels"]:
        """Return the signs that codes stand for."""
        return self._signs(indices.transpose(1, 2)).flatten(2)
