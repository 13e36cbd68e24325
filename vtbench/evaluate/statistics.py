"""Intervals over a few seeds.

Student's t, which is honest at n = 3 where a bootstrap is not. Arms of a study see the same images in the same order
with the same seeds, so a difference between two arms is taken seed by seed: what the seeds share cancels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from scipy import stats


class Interval(NamedTuple):
    """A mean and the ends of its confidence interval; both ends are NaN where one value tells nothing of the spread."""

    mean: float
    low: float
    high: float


def t_interval(values: Sequence[float], confidence: float = 0.95) -> Interval:
    """Return the mean of `values` with its two-sided t-interval.

    Args:
        values: one value a seed; at least one.
        confidence: probability, in (0, 1).

    Raises:
        ValueError: no values, or `confidence` is not in (0, 1).
    """
    if not len(values):
        raise ValueError("an interval needs at least one value")
    if not 0 < confidence < 1:
        raise ValueError(f"confidence is a probability between 0 and 1, not {confidence}")
    array = np.asarray(values, dtype=np.float64)
    mean = float(array.mean())
    if len(array) == 1:
        return Interval(mean, math.nan, math.nan)
    standard_error = float(array.std(ddof=1)) / math.sqrt(len(array))
    half = float(stats.t.ppf((1 + confidence) / 2, df=len(array) - 1)) * standard_error
    return Interval(mean, mean - half, mean + half)


def paired_t_interval(a: Sequence[float], b: Sequence[float], confidence: float = 0.95) -> Interval:
    """Return the mean of `a - b` with its t-interval, value by value: the i-th of both belong to the same seed.

    Raises:
        ValueError: the lengths differ, or as in `t_interval`.
    """
    if len(a) != len(b):
        raise ValueError(f"pairs need equally many values, not {len(a)} and {len(b)}")
    return t_interval(np.subtract(a, b).tolist(), confidence)
