"""What a tokenizer asks of a quantizer, and the first steps in which latents pass unquantised.

A quantizer nests its options in `Config` and is one row in `vtbench.models.quantizers.QUANTIZERS`; a study names it as
`tokenizer.quantizer: {name: fsq, levels: [8, 8, 8, 8]}`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from vtbench.models.nn.step_state import StepState
from vtbench.models.quantizers.output import QuantizerOutput
from vtbench.schema.base import Frozen


class QuantizerConfig(Frozen):
    """Options of a quantizer: its name in the table, and what its own `Config` adds."""

    name: str

    def check(self, channels: int) -> None:
        """Raise a `ValueError` if latents of this width cannot be quantised."""


class Quantizer(nn.Module, ABC):
    """Continuous latents -> codes and back."""

    Config: ClassVar[type[QuantizerConfig]]
    codebook_sizes: tuple[int, ...]
    """Number of codes of each codebook."""

    @abstractmethod
    def forward(self, latents: Float[Tensor, "batch tokens channels"]) -> QuantizerOutput:
        """Quantise latents."""

    @abstractmethod
    def lookup(self, indices: Int[Tensor, "batch num_codebooks tokens"]) -> Float[Tensor, "batch tokens channels"]:
        """Return the quantised latents that codes stand for."""


class WarmUp(StepState):
    """Counts training steps, at the first of which latents pass unquantised; beside `nn.Module`."""

    steps_seen: Tensor | None

    def start_warmup(self, warmup_steps: int) -> None:
        """Keep the counter, which exists only where it is used."""
        self.warmup_steps = warmup_steps
        assert isinstance(self, nn.Module)
        self.register_buffer("steps_seen", torch.zeros((), dtype=torch.int64) if warmup_steps else None)

    def warming_up(self) -> bool:
        """Return whether this training step passes latents unquantised."""
        return self.steps_seen is not None and int(self.steps_seen) < self.warmup_steps

    @torch.no_grad()
    def end_step(self) -> None:
        """Count the step."""
        if self.steps_seen is not None:
            self.steps_seen.add_(1)


def usage(indices: Int[Tensor, "batch num_codebooks tokens"], codebook_size: int) -> Float[Tensor, ""]:
    """Return the share of all codes that occur in a batch, in [0, 1]."""
    flat = indices.transpose(0, 1).flatten(1)
    used = torch.zeros(flat.shape[0], codebook_size, device=flat.device)
    return used.scatter_(1, flat, 1.0).mean()
