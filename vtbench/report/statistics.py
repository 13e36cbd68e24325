"""Spread over seeds, and paired differences between arms.

Arms of a study share seeds, images and order of batches, so differences are taken seed by seed; with n seeds their
interval is the two-sided 95 % t-interval with n - 1 degrees of freedom. Intervals are not corrected for the number of
comparisons.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from scipy.stats import t

LEVEL = 0.95


@dataclass(frozen=True)
class Spread:
    """Mean over seeds; `sd` is the sample standard deviation, None with one seed."""

    mean: float
    sd: float | None
    num_seeds: int

    @property
    def half_width(self) -> float | None:
        """Half the width of the t-interval of the mean, None with one seed."""
        return None if self.sd is None else _half_width(self.sd, self.num_seeds)


@dataclass(frozen=True)
class Difference:
    """Mean of the differences seed by seed, and their t-interval (None with one seed)."""

    mean: float
    interval: tuple[float, float] | None
    num_seeds: int

    @property
    def claimed(self) -> bool:
        """Whether the interval excludes zero; never with one seed."""
        return self.interval is not None and (self.interval[0] > 0 or self.interval[1] < 0)


def spread(values: Sequence[float]) -> Spread | None:
    """Return mean and spread of one value a seed, or None if there is none."""
    if not values:
        return None
    sd = statistics.stdev(values) if len(values) > 1 else None
    return Spread(statistics.fmean(values), sd, len(values))


def paired_difference(values: Mapping[int, float], reference: Mapping[int, float]) -> Difference | None:
    """Return `values - reference` over the seeds that both have, or None if there is no such seed.

    Args:
        values: seed -> value of one arm.
        reference: seed -> value of the arm to compare with.
    """
    found = spread([values[seed] - reference[seed] for seed in sorted(values.keys() & reference.keys())])
    if found is None:
        return None
    half = found.half_width
    interval = None if half is None else (found.mean - half, found.mean + half)
    return Difference(found.mean, interval, found.num_seeds)


def _half_width(sd: float, count: int) -> float:
    return float(t.ppf((1 + LEVEL) / 2, count - 1)) * sd / math.sqrt(count)
