"""What a study expected, held against what came out.

Each expectation of the study file is tested wherever it speaks of; the verdicts are *held*, *contradicted* and
*not shown*, which is neither: the interval leaves both open.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

from vtbench.evaluate.statistics import Estimate, holm
from vtbench.report.comparison import ALPHA, compare
from vtbench.report.comparison_tables import interval_text, p_text
from vtbench.report.metrics import display
from vtbench.report.results import RUN, Point, Results, Row
from vtbench.report.route_table import way_difference
from vtbench.report.tables import Column, Table, signed
from vtbench.schema.expectation import Expectation
from vtbench.study.expectations import places

HELD, CONTRADICTED, NOT_SHOWN = "held", "contradicted", "not shown"
ONE_SEED, MISSING = "one seed", "missing"

_NOTE = (
    "Arm minus the other, paired by seed and by image. Better: held or contradicted where p < 0.05 after Holm's"
    " correction over what one expectation speaks of (its arms, sizes and lengths; what is counted exactly needs none)."
    " Alike and no worse: where the 95 % interval lies inside or outside of the margin, given as a share of the other's"
    " value."
)


@dataclass(frozen=True)
class Outcome:
    """An expectation at one point, and what became of it."""

    expectation: Expectation
    metric: str
    row: Row
    other: Row
    point: Point
    than: Point
    estimate: Estimate | None
    """Of the arm minus the other, in the metric's shown unit; None where a value is missing."""
    margin: float
    """How far apart still counts as alike, in that unit."""
    num_seeds: int
    p_adjusted: float = math.nan

    @property
    def verdict(self) -> str:
        """What the difference says of the expectation."""
        if self.estimate is None:
            return MISSING
        if self.num_seeds < 2 or not self.estimate.known:
            return ONE_SEED
        sign = -1 if display(self.metric).lower_is_better else 1
        gain, ends = sign * self.estimate.value, [sign * end for end in self.estimate.interval]
        low, high = min(ends), max(ends)
        if self.expectation.relation == "better_than":
            shown = self.p_adjusted < ALPHA
            return NOT_SHOWN if not shown else HELD if gain > 0 else CONTRADICTED
        top = math.inf if self.expectation.relation == "no_worse_than" else self.margin
        if low > -self.margin and high < top:
            return HELD
        return CONTRADICTED if high < -self.margin or low > top else NOT_SHOWN


def outcomes(results: Results) -> list[Outcome]:
    """Return every expectation of the plan at every point that it speaks of, in the study's order."""
    return [one for each in results.plan.expectations for one in _corrected(list(_of(results, each)))]


def _corrected(found: Sequence[Outcome]) -> list[Outcome]:
    """Return the outcomes of one expectation, their p-values adjusted for the number of those left to chance."""
    p_values = [math.nan if one.estimate is None else one.estimate.p_value for one in found]
    exact = [one.estimate is not None and one.estimate.standard_error == 0 for one in found]
    adjusted = iter(holm([p for p, counted in zip(p_values, exact, strict=True) if not counted]))
    return [
        replace(one, p_adjusted=p if counted else next(adjusted))
        for one, p, counted in zip(found, p_values, exact, strict=True)
    ]


def expectation_sentence(results: Results) -> str:
    """Return how many expectations held, one line; empty where the study has none."""
    found = Counter(one.verdict for one in outcomes(results))
    if not found:
        return ""
    names = (HELD, CONTRADICTED, NOT_SHOWN, ONE_SEED, MISSING)
    words = {ONE_SEED: "not tested, as there is one seed", MISSING: "without a value"}
    parts = [f"{found[name]} {words.get(name, name)}" for name in names if found[name]]
    total = found.total()
    return f"Of {total} tested expectation{'s' if total > 1 else ''}: {', '.join(parts)}."


def expectation_table(results: Results) -> Table | None:
    """Return what was expected, arm by arm and point by point; None where the study has no expectations."""
    found = outcomes(results)
    if not found:
        return None
    metrics = list(dict.fromkeys(display(one.metric).label for one in found))
    texts = ("Expected", "At", *(["Metric"] if len(metrics) > 1 else []))
    columns = (
        *(Column(name, numeric=False) for name in texts),
        *map(Column, ("Difference", "95 % interval", "Margin", "p (Holm)")),
        Column("Verdict", numeric=False),
    )
    title = "Expectations" if len(metrics) > 1 else f"Expectations, {metrics[0]}"
    return Table(title, columns, tuple(_cells(one, len(metrics) > 1) for one in found), (_NOTE,))


def _of(results: Results, expectation: Expectation) -> Iterator[Outcome]:
    metric = expectation.metric or results.main_metric
    rows = [row for row in results.rows if row.arm == expectation.arm]
    for other_arm in expectation.others:
        for row in rows:
            others = [one for one in results.rows if (one.arm, one.coordinates) == (other_arm, row.coordinates)]
            for other in others:
                for point in _points(results, expectation, metric):
                    yield _tested(results, expectation, metric, row, other, point)


def _points(results: Results, expectation: Expectation, metric: str) -> Iterator[Point]:
    known = places(results.plan, expectation)
    for point in results.usual_points(metric):
        if point == RUN or (point.resolution, point.route, point.num_tokens) in known:
            yield point


def _tested(results: Results, expectation: Expectation, metric: str, row: Row, other: Row, point: Point) -> Outcome:
    than = point if expectation.than_route is None else replace(point, route=expectation.than_route)
    seeds = results.by_seed(row, metric, point).keys() & results.by_seed(other, metric, than).keys()
    if than == point:
        compared = compare(results, row, other, metric, point)
        estimate = None if compared is None else compared.estimate
    else:
        way = way_difference(results, row, metric, point, than)
        estimate = None if way is None else way.estimate
    theirs = results.spread(other, metric, than)
    return Outcome(
        expectation=expectation,
        metric=metric,
        row=row,
        other=other,
        point=point,
        than=than,
        estimate=estimate,
        margin=math.nan if theirs is None else expectation.within * abs(theirs.mean),
        num_seeds=len(seeds),
    )


def _cells(one: Outcome, with_metric: bool) -> tuple[str, ...]:
    words = {"better_than": "better than", "like": "like", "no_worse_than": "no worse than"}
    relation = one.expectation.relation
    other = one.other.label if one.than == one.point else f"{one.than.label} in the same arm"
    has_margin = relation != "better_than" and not math.isnan(one.margin)
    return (
        f"{one.row.label} {words[relation]} {other}",
        one.point.label or "the run",
        *([display(one.metric).label] if with_metric else []),
        "–" if one.estimate is None else signed(one.estimate.value),
        "–" if one.estimate is None else interval_text(one.estimate.interval),
        f"±{one.margin:.3g}" if has_margin and relation == "like" else f"{one.margin:.3g}" if has_margin else "–",
        p_text(one.p_adjusted) if relation == "better_than" else "–",
        one.verdict,
    )
