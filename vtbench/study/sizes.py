"""The image sizes that a run trains at, with their probabilities."""

from __future__ import annotations

from collections.abc import Mapping

from vtbench.schema.base import parse_resolution
from vtbench.schema.run import MixingConfig

Size = tuple[int, int]
"""Height and width in pixels."""


def size_pairs(mixing: MixingConfig) -> dict[tuple[Size, Size], float]:
    """Return the (input, target) sizes of training with their probabilities."""
    inputs = _shares(mixing.inputs)
    if mixing.targets is None:
        return {(size, size): share for size, share in inputs.items()}
    targets = _shares(mixing.targets)
    return {(a, b): p * q for a, p in inputs.items() for b, q in targets.items()}


def _shares(weights: Mapping[str, float]) -> dict[Size, float]:
    total = sum(weights.values())
    return {parse_resolution(name): weight / total for name, weight in weights.items()}
