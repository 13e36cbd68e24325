"""Ways to one size compared within each arm: does decoding at the large size beat enlarging?

Differences are taken seed by seed; their standard error holds for other seeds and, for distances, other images
(`vtbench.evaluate.statistics.crossed`).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from vtbench.evaluate.statistics import Estimate, block_jackknife, crossed, holm
from vtbench.report.comparison import ALPHA
from vtbench.report.comparison_tables import NO_DIFFERENCE, interval_text, p_text
from vtbench.report.metrics import PSNR, display
from vtbench.report.results import Point, Results, Row
from vtbench.report.tables import Column, Table, signed

_NOTE = (
    "The first way to a size minus another, in one arm, paired by seed [95 % interval]; p: two-sided, difference 0,"
    " Holm's correction over the rows of one metric. Means over images: the interval is over seeds alone."
)


@dataclass(frozen=True)
class WayDifference:
    """In one arm and metric, what one way to a size gives minus what another gives."""

    row: Row
    metric: str
    way: Point
    other: Point
    estimate: Estimate
    num_seeds: int


def route_table(results: Results) -> Table | None:
    """Return the differences between ways to one size; None where the plan has no routes."""
    rows: list[tuple[str, ...]] = []
    for metric in dict.fromkeys([results.main_metric, PSNR]):
        found = list(way_differences(results, metric)) if metric in results.metrics else []
        adjusted = holm([each.estimate.p_value for each in found])
        rows += [_cells(each, p) for each, p in zip(found, adjusted, strict=True)]
    if not rows:
        return None
    names = ("Metric", "Arm", "Way", "Against")
    columns = (
        *(Column(name, numeric=False) for name in names),
        *map(Column, ("Difference", "95 % interval", "p (Holm)")),
    )
    return Table("Ways to one size", (*columns, Column("Verdict", numeric=False)), tuple(rows), (_NOTE,))


def way_differences(results: Results, metric: str) -> Iterator[WayDifference]:
    """Yield, for each arm and size that a route leads to, the first route minus each other way to that size."""
    points = results.points_of(metric)
    for row in results.rows:
        for way in _first_routes(points):
            alike = [at for at in points if (at.resolution, at.num_tokens) == (way.resolution, way.num_tokens)]
            for other in alike:
                if other != way and (found := way_difference(results, row, metric, way, other)) is not None:
                    yield found


def _first_routes(points: list[Point]) -> list[Point]:
    first: dict[tuple[str | None, int | None], Point] = {}
    for point in points:
        if point.route is not None:
            first.setdefault((point.resolution, point.num_tokens), point)
    return list(first.values())


def way_difference(results: Results, row: Row, metric: str, way: Point, other: Point) -> WayDifference | None:
    """Return what one way to a size gives minus what another gives in an arm; None where no seed has both."""
    ours, theirs = results.by_seed(row, metric, way), results.by_seed(row, metric, other)
    seeds = sorted(ours.keys() & theirs.keys())
    if not seeds:
        return None
    by_seed = [ours[seed] - theirs[seed] for seed in seeds]
    estimate = crossed(by_seed, _over_images(results, row, metric, way, other, seeds))
    return WayDifference(row, metric, way, other, estimate, len(seeds))


def _over_images(
    results: Results, row: Row, metric: str, way: Point, other: Point, seeds: list[int]
) -> Estimate | None:
    """Return the mean difference over seeds with its error over images; None where values keep no blocks of images."""
    scale, values, without = display(metric).scale, [], []
    for seed in seeds:
        one, two = (results.value(row, seed, metric, point) for point in (way, other))
        if one is None or two is None or not one.without_blocks or len(one.without_blocks) != len(two.without_blocks):
            return None
        values.append((one.value - two.value) / scale)
        without.append(np.subtract(one.without_blocks, two.without_blocks) / scale)
    return block_jackknife(float(np.mean(values)), np.mean(without, axis=0).tolist())


def _cells(found: WayDifference, p: float) -> tuple[str, ...]:
    estimate, lower = found.estimate, display(found.metric).lower_is_better
    shown = found.num_seeds > 1 and p < ALPHA
    better = "better" if (estimate.value < 0) == lower else "worse"
    return (
        display(found.metric).label,
        found.row.label,
        found.way.label,
        f"{found.other.label} itself" if found.other.route is None else found.other.label,
        signed(estimate.value),
        interval_text(estimate.interval),
        p_text(p),
        (NO_DIFFERENCE if lower is None or not shown else better) if found.num_seeds > 1 else "one seed",
    )
