"""What the difference between two arms is worth: its interval, its p, and whether a report may claim it.

Differences are taken seed by seed, and their standard error holds for other seeds and other images
(`vtbench.evaluate.statistics.crossed`): the part over images comes from values without each block of images (distances)
or from the images' own differences (means). Nothing is claimed from one seed, nor without a test.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from vtbench.evaluate.statistics import Error, Estimate, block_jackknife, crossed, holm, relative
from vtbench.report.image_pairs import ImagePair
from vtbench.report.metrics import display
from vtbench.report.results import Point, Results, Row

ALPHA = 0.05
"""A difference is claimed below this p, after correction for the number of comparisons."""


@dataclass(frozen=True)
class Comparison:
    """An arm minus another, in one metric at one point.

    Attributes:
        row: the arm.
        other: what it is compared with.
        metric: which metric.
        point: where.
        estimate: mean difference over the seeds that both have, in the metric's shown unit.
        num_seeds: how many those are.
        over: what the standard error holds for: "seeds and images", "seeds", "images", or nothing.
        share: the difference as a share of the other's value; NaN if that is 0.
        at_limit: the same without the bias of few images; None where that is not known.
        p_adjusted: p after Holm's correction over the arms of the table; NaN before it or without a standard error.
    """

    row: Row
    other: Row
    metric: str
    point: Point
    estimate: Estimate
    num_seeds: int
    over: str
    share: float
    at_limit: Estimate | None = None
    p_adjusted: float = math.nan

    @property
    def claimed(self) -> bool:
        """Whether a difference between the arms is shown: by test, and by more than one seed."""
        return self.num_seeds > 1 and self.p_adjusted < ALPHA

    @property
    def is_better(self) -> bool | None:
        """Whether the difference is for the better; None where the metric has no direction."""
        lower_is_better = display(self.metric).lower_is_better
        return None if lower_is_better is None else (self.estimate.value < 0) == lower_is_better


def compare(results: Results, row: Row, other: Row, metric: str, point: Point) -> Comparison | None:
    """Return an arm minus another, uncorrected; None if no seed has both values."""
    ours, theirs = results.by_seed(row, metric, point), results.by_seed(other, metric, point)
    seeds = sorted(ours.keys() & theirs.keys())
    if not seeds:
        return None
    by_seed = [ours[seed] - theirs[seed] for seed in seeds]
    images, limit = _over_images(results, row, other, metric, point, seeds)
    parts = (["seeds"] if len(seeds) > 1 else []) + (["images"] if images is not None else [])
    return Comparison(
        row=row,
        other=other,
        metric=metric,
        point=point,
        estimate=crossed(by_seed, images),
        num_seeds=len(seeds),
        over=" and ".join(parts),
        share=relative(math.fsum(by_seed), math.fsum(theirs[seed] for seed in seeds)),
        at_limit=None if images is None or limit is None else _at_limit(by_seed, images, limit),
    )


def against_reference(results: Results, metric: str, point: Point) -> list[Comparison]:
    """Return each arm minus the reference arm at the same axis values, corrected for their number."""
    pairs = [(row, results.reference_of(row)) for row in results.rows]
    found = [
        compare(results, row, reference, metric, point)
        for row, reference in pairs
        if reference is not None and reference is not row
    ]
    return corrected([each for each in found if each is not None])


def corrected(comparisons: Sequence[Comparison]) -> list[Comparison]:
    """Return comparisons with p-values adjusted for their number."""
    adjusted = holm([each.estimate.p_value for each in comparisons])
    return [replace(each, p_adjusted=p) for each, p in zip(comparisons, adjusted, strict=True)]


def winners(results: Results, metric: str, point: Point) -> set[str]:
    """Return the labels of rows that beat every other arm at the same axis values, by test.

    The best arm is picked by looking, so each p is multiplied by the number of all pairs of arms.
    """
    lower_is_better = display(metric).lower_is_better
    if lower_is_better is None or len(results.plan.seeds) < 2:
        return set()
    groups: dict[str, list[Row]] = {}
    for row in results.rows:
        groups.setdefault(repr(sorted(row.coordinates.items())), []).append(row)
    return {best for rows in groups.values() if (best := _winner(results, rows, metric, point)) is not None}


def _winner(results: Results, rows: Sequence[Row], metric: str, point: Point) -> str | None:
    spreads = {row.label: results.spread(row, metric, point) for row in rows}
    means = {label: found.mean for label, found in spreads.items() if found is not None}
    if len(means) < len(rows) or len(rows) < 2:
        return None
    lower_is_better = bool(display(metric).lower_is_better)
    best = min(rows, key=lambda row: means[row.label] if lower_is_better else -means[row.label])
    num_pairs = len(rows) * (len(rows) - 1) // 2
    for other in rows:
        if other is best:
            continue
        found = compare(results, best, other, metric, point)
        if found is None or not found.is_better:
            return None
        if not replace(found, p_adjusted=num_pairs * found.estimate.p_value).claimed:
            return None
    return best.label


def image_pair(results: Results, row: Row, other: Row, metric: str, point: Point) -> ImagePair | None:
    """Return what the images say of an arm minus another, as stored; None if that is not known."""
    found = results.image_pairs(metric, point)
    for pair in found:
        if set(pair.first) <= set(row.runs.values()) and set(pair.other) <= set(other.runs.values()):
            return pair
    for pair in found:
        if set(pair.other) <= set(row.runs.values()) and set(pair.first) <= set(other.runs.values()):
            return _turned(pair)
    return None


def _over_images(
    results: Results, row: Row, other: Row, metric: str, point: Point, seeds: Sequence[int]
) -> tuple[Estimate | None, Estimate | None]:
    """Return the mean difference over seeds with its error over images: here, and in the limit of many images."""
    scale = display(metric).scale
    pair = image_pair(results, row, other, metric, point)
    if pair is not None and len(pair.first) == len(seeds):
        error = Error(pair.standard_error / scale, pair.num_images - 1.0)
        return Estimate(pair.difference / scale, (error,)), None
    values, without = [], []
    for seed in seeds:
        one, two = (results.value(arm, seed, metric, point) for arm in (row, other))
        if one is None or two is None or not one.without_blocks or len(one.without_blocks) != len(two.without_blocks):
            return None, None
        values.append((one.value - two.value) / scale)
        without.append(np.subtract(one.without_blocks, two.without_blocks) / scale)
    value, blocks = float(np.mean(values)), np.mean(without, axis=0).tolist()
    return block_jackknife(value, blocks), block_jackknife(value, blocks, at_limit=True)


def _at_limit(by_seed: Sequence[float], images: Estimate, limit: Estimate) -> Estimate:
    """Return the difference in the limit of many images, each seed's moved by the bias of them all."""
    bias = images.value - limit.value
    return crossed([difference - bias for difference in by_seed], limit)


def _turned(pair: ImagePair) -> ImagePair:
    """Return the pair the other way round."""
    return pair.model_copy(
        update={
            "first": pair.other,
            "other": pair.first,
            "difference": -pair.difference,
            "low": -pair.high,
            "high": -pair.low,
            "share_higher": pair.share_lower,
            "share_lower": pair.share_higher,
            "rank_biserial": -pair.rank_biserial,
            "standardised": None if pair.standardised is None else -pair.standardised,
        }
    )
