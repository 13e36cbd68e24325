"""Spread over seeds, as tables show it."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Spread:
    """Mean over seeds; `sd` is the sample standard deviation, None with one seed."""

    mean: float
    sd: float | None
    num_seeds: int


def spread(values: Sequence[float]) -> Spread | None:
    """Return mean and spread of one value a seed, or None if there is none."""
    if not values:
        return None
    mean = math.fsum(values) / len(values)
    if len(values) == 1:
        return Spread(mean, None, 1)
    if min(values) == max(values):
        return Spread(values[0], 0.0, len(values))  # not what rounding the mean leaves
    sd = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / (len(values) - 1))
    return Spread(mean, sd, len(values))
