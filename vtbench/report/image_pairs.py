"""Two arms image by image: what a study's kept rows say of each pair of arms that a report compares.

A metric that is a mean over images leaves its number of each image on disk. The difference of two arms is averaged over
the seeds that both have, image by image, and then tested over the images: does it hold for other images of this kind?
Of other seeds it says nothing; `vtbench.report.comparison` puts both together.
"""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Mapping
from itertools import groupby

import numpy as np

from vtbench.evaluate.kept_rows import point_name, rows_of
from vtbench.evaluate.statistics import bootstrap_interval, mean, signed_rank, standardised
from vtbench.schema.base import Frozen
from vtbench.schema.record import MetricValue, RunRecord
from vtbench.schema.study import StudyPlan
from vtbench.store import query
from vtbench.store.layout import Store

_Rows = dict[int, np.ndarray]
"""Seed -> one number an image."""


class ImagePair(Frozen):
    """A metric's difference between two arms at a point, first minus other, over images.

    `first` and `other` are the arms' runs, seed by seed; `low` and `high` the bootstrap's 95 % interval;
    `share_higher` and `share_lower` the shares of images on which the first is higher and lower; `p_value` and
    `rank_biserial` the signed-rank test's; `standardised` the mean in units of the images' standard deviation (None
    without spread).
    """

    metric: str
    resolution: str
    num_tokens: int | None
    route: str | None = None
    first: tuple[str, ...]
    other: tuple[str, ...]
    num_images: int
    difference: float
    standard_error: float
    low: float
    high: float
    share_higher: float
    share_lower: float
    p_value: float
    rank_biserial: float
    standardised: float | None


def image_pairs(store: Store, plan: StudyPlan, records: Mapping[str, RunRecord]) -> tuple[ImagePair, ...]:
    """Return each arm against the reference arm and against the best arm, where their rows are on disk.

    Args:
        store: holds the rows.
        plan: the study.
        records: run id -> record; missing ones are allowed.
    """
    found: list[ImagePair] = []
    for arms in _comparable(plan):
        values = {arm: {seed: _values(plan, records.get(run)) for seed, run in runs.items()} for arm, runs in arms}
        names = dict.fromkeys(name for by_seed in values.values() for known in by_seed.values() for name in known)
        for key in names:
            rows = {
                arm: {
                    seed: numbers
                    for seed, run in runs.items()
                    if (value := values[arm][seed].get(key)) is not None
                    and (numbers := image_values(store, run, value)) is not None
                }
                for arm, runs in arms
            }
            runs_of = dict(arms)
            for one, two in _pairs({arm: kept for arm, kept in rows.items() if kept}, plan.study.reference_arm):
                seeds = sorted(rows[one].keys() & rows[two].keys())
                if seeds and _same_protocol(key, [values[arm][seed] for arm in (one, two) for seed in seeds]):
                    sides = [tuple(runs_of[arm][seed] for seed in seeds) for arm in (one, two)]
                    differences = np.mean([rows[one][seed] - rows[two][seed] for seed in seeds], axis=0)
                    found.append(_pair(key, sides[0], sides[1], differences))
    return tuple(found)


_Key = tuple[str, str, int | None, str | None]
"""Metric, resolution, number of tokens, route."""


def _comparable(plan: StudyPlan) -> Iterator[list[tuple[str, dict[int, str]]]]:
    """Yield, for each set of axis values, the arms with their runs by seed."""
    cells = sorted(plan.cells, key=lambda cell: json.dumps(cell.coordinates, sort_keys=True))
    for _, group in groupby(cells, key=lambda cell: json.dumps(cell.coordinates, sort_keys=True)):
        arms: dict[str, dict[int, str]] = {}
        for cell in group:
            arms.setdefault(cell.arm, {})[cell.seed] = cell.run_id
        if len(arms) > 1:
            yield list(arms.items())


def _values(plan: StudyPlan, record: RunRecord | None) -> dict[_Key, MetricValue]:
    """Return the values of a run that the plan asks for and that belong to a point."""
    wanted = [] if record is None else query.wanted(plan, record.metrics)
    return {
        (value.name, *_place(value)): value
        for value in wanted
        if value.num_samples > 1 and "resolution" in value.params and "num_tokens" in value.params
    }


def image_values(store: Store, run_id: str, value: MetricValue) -> np.ndarray | None:
    """Return one number an image, if the value is their mean and they are on disk."""
    if not store.measured_dir(run_id).is_dir():
        return None
    kept = rows_of(store.measured_dir(run_id) / point_name(*_place(value)), value)
    if kept is None or len(kept) != 1:
        return None
    numbers = np.asarray(next(iter(kept.values())))
    if numbers.ndim != 1 or len(numbers) < 2 or not math.isclose(numbers.mean(), value.value, rel_tol=1e-9):
        return None
    return numbers.astype(np.float64)


def _pairs(rows: Mapping[str, _Rows], reference: str) -> list[tuple[str, str]]:
    """Return the arms to compare: each with the reference arm, and with those that are highest and lowest."""
    if len(rows) < 2:
        return []
    means = {arm: float(np.mean([numbers.mean() for numbers in by_seed.values()])) for arm, by_seed in rows.items()}
    against = (reference, max(means, key=means.__getitem__), min(means, key=means.__getitem__))
    pairs = [(arm, other) for other in against if other in rows for arm in rows if arm != other]
    return [pair for i, pair in enumerate(pairs) if not {pair, pair[::-1]} & set(pairs[:i])]


def _same_protocol(key: _Key, values: list[dict[_Key, MetricValue]]) -> bool:
    """Return whether values may be compared; a table that puts them side by side says what differs."""
    return len({known[key].protocol for known in values}) == 1


def _place(value: MetricValue) -> tuple[str, int | None, str | None]:
    """Return resolution, number of tokens and route of a value that belongs to a point."""
    num_tokens, route = value.params["num_tokens"], value.params.get("route")
    return (
        str(value.params["resolution"]),
        None if num_tokens is None else int(num_tokens),
        None if route is None else str(route),
    )


def _pair(
    key: _Key,
    first: tuple[str, ...],
    other: tuple[str, ...],
    differences: np.ndarray,
) -> ImagePair:
    estimate, ranks, spread = mean(differences), signed_rank(differences), standardised(differences)
    low, high = bootstrap_interval(differences)
    metric, resolution, num_tokens, route = key
    return ImagePair(
        metric=metric,
        resolution=resolution,
        num_tokens=num_tokens,
        route=route,
        first=first,
        other=other,
        num_images=len(differences),
        difference=estimate.value,
        standard_error=estimate.standard_error,
        low=low,
        high=high,
        share_higher=float((differences > 0).mean()),
        share_lower=float((differences < 0).mean()),
        p_value=ranks.p_value,
        rank_biserial=ranks.rank_biserial,
        standardised=None if math.isnan(spread) else spread,
    )
