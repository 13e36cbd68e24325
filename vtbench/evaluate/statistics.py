"""Intervals and tests: what a difference between two models is worth.

Two things in a measured difference are chance: the images it was taken on, and the seed that each model was trained
with. Arms of a study see the same images and share seeds, so differences are taken image by image and seed by seed, and
what both have in common cancels.

- Over images: the standard error of a mean from its images' differences; of a distance between sets, which is no mean,
  from a block jackknife (a bootstrap is wrong there: images drawn twice narrow a set, and the distance grows).
- Over seeds: Student's t, honest at n = 3.
- Both: the squares of the two half-widths add up. The interaction of seed and image is counted twice so, and intervals
  err on the wide side (at three seeds they hold the truth in 95 to 98 % of cases). One standard error with Welch and
  Satterthwaite's degrees of freedom would be narrower than the seeds alone allow: at two seeds it covers 89 %.

NumPy and SciPy alone: reports use it too. SciPy is imported where it is needed: it takes a second, for which plans and
workers, who import this by way of metrics, need not wait.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64, Int

LEVEL = 0.95
"""Confidence of all intervals."""

NUM_BLOCKS = 10
"""Parts of the images, each of which a block jackknife leaves out once."""

_SMALLEST_P = 1e-12

RESAMPLES = 2000
"""Of a bootstrap: the ends of its interval move by about 2 % of its width from one draw to another."""


class Interval(NamedTuple):
    """Ends of a confidence interval at `LEVEL`; both NaN where nothing is known of the spread."""

    low: float
    high: float


class Error(NamedTuple):
    """A standard error with its degrees of freedom."""

    standard_error: float
    df: float


@dataclass(frozen=True)
class Estimate:
    """A number with the independent errors that it has; none where one value tells nothing of the spread.

    With several errors the half-widths of their t-intervals are added as squares (method of variance estimates
    recovery, Zou & Donner 2008, doi:10.1002/sim.3095).
    """

    value: float
    errors: tuple[Error, ...] = ()

    @property
    def known(self) -> bool:
        """Whether there is a standard error."""
        return bool(self.errors)

    @property
    def standard_error(self) -> float:
        """The errors together; NaN if there are none."""
        return math.hypot(*(error.standard_error for error in self.errors)) if self.errors else math.nan

    @property
    def interval(self) -> Interval:
        """The two-sided interval at `LEVEL`."""
        if not self.known:
            return Interval(math.nan, math.nan)
        half = self._half_width(1 - LEVEL)
        return Interval(self.value - half, self.value + half)

    @property
    def p_value(self) -> float:
        """Two-sided p of the hypothesis that the true value is 0: 1 minus the level at which an interval reaches 0.

        NaN where nothing is known of the spread.
        """
        from scipy import optimize, special

        if not self.known:
            return math.nan
        if self.standard_error == 0:
            return 1.0 if self.value == 0 else 0.0
        if len(self.errors) == 1:
            ((standard_error, df),) = self.errors
            return max(_SMALLEST_P, 2 * float(special.stdtr(df, -abs(self.value) / standard_error)))
        if self._half_width(_SMALLEST_P) <= abs(self.value):
            return _SMALLEST_P
        found = optimize.brentq(lambda log: self._half_width(math.exp(log)) - abs(self.value), math.log(_SMALLEST_P), 0)
        return math.exp(float(found))

    def _half_width(self, alpha: float) -> float:
        from scipy import special

        # what `scipy.stats.t.isf` is, without half a millisecond of checks
        return math.hypot(*(-float(special.stdtrit(df, alpha / 2)) * error for error, df in self.errors))


def mean(values: Sequence[float] | Float[np.ndarray, " n"]) -> Estimate:
    """Return the mean of independent values, one a seed or one an image, with its standard error.

    For a paired difference give the differences.

    Raises:
        ValueError: there are no values.
    """
    array = np.asarray(values, dtype=np.float64)
    if not len(array):
        raise ValueError("a mean needs at least one value")
    middle = math.fsum(array.tolist()) / len(array)
    if len(array) == 1:
        return Estimate(middle)
    return Estimate(middle, (Error(float(array.std(ddof=1)) / math.sqrt(len(array)), len(array) - 1.0),))


def blocks(num_images: int, num_blocks: int = NUM_BLOCKS) -> list[Int[np.ndarray, " part"]]:
    """Return the positions of each block's images: a fixed random split, so that folders sorted by class do no harm.

    All models measured on equally many images get the same blocks; of fewer images than blocks, each is a block.
    """
    order = np.random.default_rng(num_images).permutation(num_images)
    return [np.sort(part) for part in np.array_split(order, min(num_blocks, num_images))]


def without_each_block(rows: np.ndarray, value_of: Callable[[np.ndarray], float]) -> tuple[float, ...]:
    """Return a statistic of the rows (one an image) that each block leaves; nothing of fewer than two rows."""
    if len(rows) < 2:
        return ()
    return tuple(value_of(np.delete(rows, part, axis=0)) for part in blocks(len(rows)))


def block_jackknife(value: float, without: Sequence[float], *, at_limit: bool = False) -> Estimate:
    """Return a statistic with its standard error from the values that it has without each block of the images.

    For a paired difference of two models give the difference, and the differences of their values without each block
    (the same blocks of both). Shao & Wu 1989, doi:10.1214/aos/1176347263: with g blocks the variance is
    (g - 1) / g times the sum of squares about the mean; we take t with g - 1 degrees of freedom.

    The interval is one for the statistic at this number of images. A Frechet distance falls as images are added, by an
    amount that depends on the model.

    Args:
        value: of all images.
        without: at least two.
        at_limit: take away the bias that falls as 1/n, as the jackknife sees it (Quenouille 1956): an estimate for
            infinitely many images. Of a Frechet distance it is right only with many more images than features.

    Raises:
        ValueError: fewer than two blocks.
    """
    array = np.asarray(without, dtype=np.float64)
    num = len(array)
    if num < 2:
        raise ValueError(f"a jackknife needs at least 2 blocks, not {num}")
    shown = num * value - (num - 1) * float(array.mean()) if at_limit else value
    return Estimate(shown, (Error(math.sqrt((num - 1) * float(array.var())), num - 1.0),))


def crossed(by_seed: Sequence[float], over_images: Estimate | None) -> Estimate:
    """Return the mean over seeds with a standard error that holds for other seeds and other images.

    Args:
        by_seed: one difference (or value) a seed; at least one.
        over_images: their mean over the seeds, with its standard error over images; None, or one without a standard
            error, where that is not known, and then the result holds for these images alone.

    Raises:
        ValueError: no seeds.
    """
    seeds = mean(by_seed)
    return Estimate(seeds.value, seeds.errors + (over_images.errors if over_images is not None else ()))


def bootstrap_interval(differences: Float[np.ndarray, " n"]) -> Interval:
    """Return the percentile interval of the mean of paired differences, by resampling images.

    Raises:
        ValueError: fewer than two differences.
    """
    if len(differences) < 2:
        raise ValueError(f"a bootstrap needs at least 2 differences, not {len(differences)}")
    from scipy import stats

    draw = np.random.default_rng(0)
    batch = max(1, 2**22 // len(differences))
    found = stats.bootstrap(
        (np.asarray(differences, np.float64),),
        np.mean,
        n_resamples=RESAMPLES,
        batch=batch,
        confidence_level=LEVEL,
        method="percentile",
        rng=draw,
    ).confidence_interval
    return Interval(float(found.low), float(found.high))


class SignedRank(NamedTuple):
    """Outcome of a signed-rank test: its p, and its effect size in [-1, 1], positive where positive differences win."""

    p_value: float
    rank_biserial: float


def signed_rank(differences: Float[np.ndarray, " n"]) -> SignedRank:
    """Test whether paired differences are symmetric about 0 (Wilcoxon 1945), zeros left out.

    The effect size is the matched-pairs rank-biserial correlation (Kerby 2014, doi:10.2466/11.IT.3.1): the share of the
    rank sum that is positive minus the share that is negative.
    """
    from scipy import stats

    kept = np.asarray(differences, np.float64)
    kept = kept[kept != 0]
    if not len(kept):
        return SignedRank(1.0, 0.0)
    ranks = stats.rankdata(np.abs(kept))
    total = float(ranks.sum())
    signed = float(ranks[kept > 0].sum() - ranks[kept < 0].sum())
    return SignedRank(float(stats.wilcoxon(kept).pvalue), signed / total)


def holm(p_values: Sequence[float]) -> list[float]:
    """Return p-values adjusted for their number by Holm's step-down method (1979); NaN stays NaN and is not counted."""
    array = np.asarray(p_values, dtype=np.float64)
    order = [index for index in np.argsort(array) if not math.isnan(array[index])]
    adjusted = np.full(len(array), math.nan)
    so_far = 0.0
    for place, index in enumerate(order):
        so_far = max(so_far, min(1.0, (len(order) - place) * float(array[index])))
        adjusted[index] = so_far
    return adjusted.tolist()


def relative(value: float, reference: float) -> float:
    """Return a difference as a share of the reference's value; NaN if that is 0."""
    return value / abs(reference) if reference else math.nan


def standardised(differences: Float64[np.ndarray, " n"]) -> float:
    """Return the mean of paired differences in units of their standard deviation (Cohen's d_z); NaN without spread."""
    spread = float(np.std(differences, ddof=1)) if len(differences) > 1 else 0.0
    return float(np.mean(differences)) / spread if spread else math.nan
