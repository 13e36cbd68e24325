"""Classifier-free guidance (Ho & Salimans 2022) of logits: how strong it is at each token.

A scale is a number, or a function of the token's index from 0 on. At scale 1 the conditional logits are used as they
are, so a schedule that ends early (Kynkäänniemi et al. 2024) also ends the unconditional half of the work.
"""

from __future__ import annotations

import math
from collections.abc import Callable

from jaxtyping import Float
from torch import Tensor

Scale = float | Callable[[int], float]


def scales(scale: Scale, num_tokens: int) -> list[float]:
    """Return the scale of every token."""
    return [float(scale(token)) if callable(scale) else float(scale) for token in range(num_tokens)]


def guide(
    conditional: Float[Tensor, "*batch entries"], unconditional: Float[Tensor, "*batch entries"], scale: float
) -> Float[Tensor, "*batch entries"]:
    """Return `u + scale * (c - u)`; exactly `c` at scale 1."""
    return conditional if scale == 1.0 else unconditional + scale * (conditional - unconditional)


def interval(scale: float, first: int, last: int) -> Scale:
    """Guide the tokens from `first` to `last`, both included, and no others."""
    return lambda token: scale if first <= token <= last else 1.0


def cosine(scale: float, power: float = 1.0, num_tokens: int = 256) -> Scale:
    """Begin at `scale` and end at 1 after `num_tokens`: `1 + (scale - 1) (1 + cos(pi (t / num_tokens)^power)) / 2`."""
    return lambda token: 1 + (scale - 1) * (1 + math.cos(math.pi * (token / num_tokens) ** power)) / 2
