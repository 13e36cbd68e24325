"""What every quantizer returns."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float, Int
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class QuantizerOutput:
    """Quantised latents, their codes and the training loss.

    Attributes:
        z_q: quantised latents, with the straight-through gradient; same shape and dtype as the input.
        indices: code of each latent in each codebook, `0 <= index < codebook_size`.
        loss: codebook and commitment loss, a scalar.
        stats: scalars worth logging, detached (for example `codebook_usage` in [0, 1]).
    """

    z_q: Float[Tensor, "batch tokens channels"]
    indices: Int[Tensor, "batch num_codebooks tokens"]
    loss: Float[Tensor, ""]
    stats: dict[str, Float[Tensor, ""]]
