"""How the cost of an image grows from the smallest size to the largest: by the clock and counted.

An arm that makes several sizes is compared with itself; arms that each make one size, of one kind of generator and
tokenizer, with each other.
"""

from __future__ import annotations

from collections.abc import Iterator

from vtbench.report.metrics import GFLOPS, SECONDS, display, number
from vtbench.report.results import Point, Results, Row
from vtbench.report.tables import MISSING, Column, Table

PARTS = ("seconds_per_image_sampling", "seconds_per_image_decoder", SECONDS, GFLOPS)
_NOTE = (
    "Cost at the larger size over that at the smaller, of the same seed: mean over seeds (least to most). Times of one"
    " machine at moments of their own, so a few percent of them are its mood; GFLOPs are counted."
)
Place = tuple[Row, Point]


def growth_table(results: Results) -> Table | None:
    """Return the table, a row for each arm or kind of generator; None where no cost is known at two sizes."""
    parts = [metric for metric in PARTS if results.values_of(metric)]
    pairs = list(_pairs(results))
    if not parts or not pairs:
        return None
    texts = [Column(name, numeric=False) for name in ("Arm", "From", "To")]
    columns = (*texts, Column("Pixels"), *(Column(display(metric).title) for metric in parts))
    rows = tuple(_cells(results, small, large, parts) for small, large in pairs)
    return Table("Growth of an image's cost with its size", columns, rows, (_NOTE,))


def _pairs(results: Results) -> Iterator[tuple[Place, Place]]:
    """Yield smallest and largest place of each arm that has two, else of each kind of generator that has."""
    kinds: dict[tuple[str, str], list[Place]] = {}
    for row in results.drawn_rows:
        places = [(row, point) for point in speed_points(results) if results.spread(row, SECONDS, point) is not None]
        if len(places) > 1:
            yield places[0], places[-1]
        elif places:
            kinds.setdefault(_kind(results, row), []).extend(places)
    for places in kinds.values():
        by_side = sorted(places, key=lambda place: place[1].side)
        if len({point.side for _, point in by_side}) == len(by_side) > 1:
            yield by_side[0], by_side[-1]


def speed_points(results: Results) -> list[Point]:
    """Return the sizes at which speed was measured, with the most tokens and the first way of sampling, by area."""
    points = [point for point in results.usual_points(SECONDS) if point.resolution is not None]
    longest = max((point.num_tokens or 10**9 for point in points), default=0)
    return sorted((p for p in points if (p.num_tokens or 10**9) == longest), key=lambda point: point.side)


def _kind(results: Results, row: Row) -> tuple[str, str]:
    config = results.plan.runs[next(iter(row.runs.values()))].config
    return config.generator.model.name if config.generator is not None else "", config.tokenizer.name


def _cells(results: Results, small: Place, large: Place, parts: list[str]) -> tuple[str, ...]:
    rows = (small[0],) if small[0] == large[0] else (small[0], large[0])
    sizes = [str(point.resolution).replace("x", "×") for _, point in (small, large)]
    pixels = (large[1].side / small[1].side) ** 2
    names = " to ".join(row.label for row in rows)
    return (names, *sizes, f"{number(pixels)}×", *(_ratio(results, small, large, metric) for metric in parts))


def _ratio(results: Results, small: Place, large: Place, metric: str) -> str:
    below, above = (results.by_seed(row, metric, point) for row, point in (small, large))
    ratios = [above[seed] / below[seed] for seed in below.keys() & above.keys() if below[seed]]
    if not ratios:
        return MISSING
    text = f"{sum(ratios) / len(ratios):.2f}×"
    return text if len(ratios) == 1 else f"{text} ({min(ratios):.2f} to {max(ratios):.2f})"
