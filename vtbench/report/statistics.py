"""Spread over seeds, as tables show it."""

from __future__ import annotations

import statistics
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
    sd = statistics.stdev(values) if len(values) > 1 else None
    return Spread(statistics.fmean(values), sd, len(values))
