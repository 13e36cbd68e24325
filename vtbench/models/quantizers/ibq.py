"""Index backpropagation quantisation (Shi et al. 2024, arXiv:2412.02692): gradients reach all codes, not the nearest.

Scores `z . c` over all codes c of a codebook, p their softmax; the code is the highest, and the one-hot vector of it
passes straight-through with the gradient of p, so that `z_q = one_hot C` moves every code. Loss, with q the same
without p's gradient: `||z_q - z||^2 + ||sg(q) - z||^2 + beta ||q - sg(z)||^2 + entropy_weight (E[H] - H(E))`; the
official temperature of the entropy is 0.01 (SEED-Voken, commit b9a17ea).

Deviations: several codebooks, each for a chunk of the channels, as in `mvq`; and, off by default, MVQ's ways for runs
of minutes: codebooks that start from latents, and first steps that pass unquantised.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from pydantic import NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor
from torch.nn import functional as F

from vtbench.models.quantizers.base import QuantizerConfig
from vtbench.models.quantizers.entropy import entropy_loss
from vtbench.models.quantizers.mvq import CodebookInit, MultiCodebookQuantizer, Quantised


class IbqConfig(QuantizerConfig):
    """Codebooks and weights."""

    name: Literal["ibq"] = "ibq"
    codebook_size: PositiveInt
    num_codebooks: PositiveInt = 1
    codebook_init: CodebookInit = "uniform"
    commitment: NonNegativeFloat = 0.25
    entropy_weight: NonNegativeFloat = 0.05
    temperature: PositiveFloat = 0.01

    def check(self, channels: int) -> None:
        """Raise a `ValueError` if the codebooks cannot share the channels equally."""
        if channels % self.num_codebooks:
            raise ValueError(f"latent_width {channels} is no multiple of num_codebooks {self.num_codebooks}")


class IndexBackpropagationQuantizer(MultiCodebookQuantizer):
    """Codebooks whose every entry learns from every token.

    Args:
        config: codebooks and weights.
        channels: width of the latents.
        warmup_steps: training steps at first whose latents pass unquantised.
    """

    Config: ClassVar[type[QuantizerConfig]] = IbqConfig

    def __init__(self, config: IbqConfig, channels: int, warmup_steps: int = 0) -> None:
        config.check(channels)
        super().__init__(
            channels,
            config.num_codebooks,
            config.codebook_size,
            commitment=config.commitment,
            init=config.codebook_init,
            warmup_steps=warmup_steps,
        )
        self.config = config

    def _nearest(self, z: Float[Tensor, "num_codebooks vectors dim"]) -> Int[Tensor, "num_codebooks vectors"]:
        return torch.bmm(z, self.codebooks.float().transpose(1, 2)).argmax(-1)

    def _quantise(self, z: Float[Tensor, "num_codebooks vectors dim"]) -> Quantised:
        codebooks = self.codebooks.float()
        scores = torch.bmm(z, codebooks.transpose(1, 2))
        flat = scores.detach().argmax(-1)
        p = scores.softmax(dim=-1)
        one_hot = F.one_hot(flat, self.codebook_size).to(p.dtype)
        z_q = torch.bmm(one_hot + (p - p.detach()), codebooks)
        entries = self._entries(flat).float()
        codebook_loss = (entries - z.detach()).pow(2).mean()
        loss = (z_q - z).pow(2).mean() + (entries.detach() - z).pow(2).mean() + self.commitment * codebook_loss
        if self.training and self.config.entropy_weight:
            loss = loss + self.config.entropy_weight * entropy_loss(scores, self.config.temperature)
        return Quantised(flat, z_q, loss, codebook_loss.detach())
