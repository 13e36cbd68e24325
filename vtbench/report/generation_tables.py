"""The measurements of generators: a row for each arm, way of sampling and length, columns of metrics by size.

Validation images in the place of samples stand above all: what they get is the best that there is.
"""

from __future__ import annotations

from collections.abc import Sequence

from vtbench.report.generation_growth import growth_table
from vtbench.report.metrics import (
    COST,
    GFLOPS,
    MEMORISATION,
    NOT_COMPARED,
    REAL,
    SECONDS,
    decimals,
    display,
    in_order,
    number,
)
from vtbench.report.results import RUN, Point, Results, Row, sampling_text
from vtbench.report.tables import (
    MAX_VALUE_COLUMNS,
    MISSING,
    NO_BREAK,
    NONE,
    Column,
    Table,
    sample_warnings,
    spread_text,
)

_GFLOPS_NOTE = (
    "GFLOPs (full): 2 × multiply-accumulate, attention included, of one image: all steps of sampling with a cache, and"
    " the decoder."
)
_REAL_NOTE = (
    "Validation images: real images that no arm was trained on, in the place of samples, against the same training"
    " images."
)
_MEMORISATION_NOTE = (
    "Nearer to training than unseen images: probability that a sample is nearer to its nearest training image than a"
    " validation image is to its own; 0.5 as unseen images, towards 1 copies, towards 0 unlike any training image."
)


def generation_measurements(results: Results) -> list[Table]:
    """Return the tables, packed as the page's width allows; metrics that a run has once come last."""
    packs: list[list[str]] = [[]]
    at_points = in_order({name for name in results.metrics if results.points_of(name) != [RUN]})
    for metric in sorted(at_points, key=lambda name: name in NOT_COMPARED):  # what is counted and timed comes last
        width = sum(len(_sizes(results, name)) for name in [*packs[-1], metric])
        starts_cost = metric in NOT_COMPARED and packs[-1] and packs[-1][-1] not in NOT_COMPARED
        if packs[-1] and (width > MAX_VALUE_COLUMNS or starts_cost):
            packs.append([])
        packs[-1].append(metric)
    tables = [_table(results, pack) for pack in packs if pack]
    once = in_order({name for name in results.metrics if results.points_of(name) == [RUN]})
    growth = growth_table(results)
    return [*tables, *([growth] if growth else []), *([_once(results, once)] if once else [])]


def _sizes(results: Results, metric: str) -> list[str]:
    return list(dict.fromkeys(str(point.resolution) for point in results.points_of(metric)))


def _table(results: Results, metrics: Sequence[str]) -> Table:
    places = [(metric, size) for metric in metrics for size in _sizes(results, metric)]
    ways = list(dict.fromkeys((point.sampling, point.num_tokens) for point in results.points))
    columns = [Column("Arm", numeric=False), Column("Sampling", numeric=False), Column("Tokens")]
    columns += [Column(size.replace("x", "×"), display(metric).heading) for metric, size in places]
    rows = []
    if any(results.real(*place) for place in places):
        rows.append(("Validation images", NONE, NONE, *(_real(results, *place) for place in places)))
    for row in results.rows:
        for sampling, length in ways:
            at = [(metric, Point(size, length, None, sampling)) for metric, size in places]
            text = sampling_text(sampling) or "plain"
            tokens = "all" if length is None else str(length)
            rows.append((row.label, text, tokens, *(_cell(results, row, metric, point) for metric, point in at)))
    title = ", ".join(display(metric).title for metric in metrics)
    return Table(title, tuple(columns), tuple(rows), tuple(_notes(results, metrics)))


def _once(results: Results, metrics: Sequence[str]) -> Table:
    columns = (Column("Arm", numeric=False), *(Column(display(metric).heading) for metric in metrics))
    rows = tuple((row.label, *(_cell(results, row, metric, RUN) for metric in metrics)) for row in results.rows)
    return Table(", ".join(display(metric).title for metric in metrics), columns, rows)


def _cell(results: Results, row: Row, metric: str, point: Point) -> str:
    """Return mean and spread over seeds; of one seed the interval over images."""
    if not results.is_asked(row, point):
        return NONE
    text = spread_text(results.spread(row, metric, point), len(row.runs))
    value = results.value(row, next(iter(row.runs)), metric, point)
    if len(row.runs) > 1 or value is None or value.interval is None:
        return text
    low, high = (bound / display(metric).scale for bound in value.interval)
    places = decimals(max(abs(low), abs(high)))
    return f"{text} [{low:,.{places}f},{NO_BREAK}{high:,.{places}f}]"


def _real(results: Results, metric: str, size: str) -> str:
    return ", ".join(map(number, results.real(metric, size))) or NONE


def _notes(results: Results, metrics: Sequence[str]) -> list[str]:
    seeds = results.plan.seeds
    over = f"Mean ± standard deviation over {len(seeds)} seeds."
    if len(seeds) == 1:
        over = "One seed, so no spread over seeds; [95 % interval over images, or slowest and fastest repeat]."
    counts = {count for metric in metrics if metric not in COST for count in results.num_samples(metric)}
    images = [f"{count:,}" for count in sorted(counts) if count > 1]
    notes = [over + (f" n = {' or '.join(images)} samples at each point, against training images." if images else "")]
    if any(results.values_of(metric + REAL) for metric in metrics):
        notes.append(_REAL_NOTE)
    if GFLOPS in metrics:
        notes.append(_GFLOPS_NOTE)
    if MEMORISATION in metrics:
        notes.append(_MEMORISATION_NOTE)
    if SECONDS in metrics:
        notes.append("Milliseconds an image: a batch's time, shared by its images, on the machine named below.")
    if any(run.status != "done" for run in results.data.runs):
        notes.append(f"A cell that says {MISSING} or ends in (k/{len(seeds)}) lacks the values of other seeds.")
    return [*notes, *(warning for metric in metrics for warning in sample_warnings(results, metric))]
