"""The main distance and PSNR against the number of tokens, a line an arm; below, each arm minus the reference arm.

Drawn for studies that measure at two lengths or more. The difference has the interval and the test that the tables
have; with several resolutions there is a column for each, of the main metric alone.
"""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes

from vtbench.report.comparison import against_reference
from vtbench.report.metrics import CLASS_ACCURACY, PSNR, display
from vtbench.report.plots.style import (
    WIDTH_INCHES,
    Drawing,
    PlotData,
    colour,
    direction_text,
    legend_below,
    line,
    log_if_positive,
    marker,
    new_figure,
    rows_text,
    samples_text,
)
from vtbench.report.results import Point, Results, Row

SPREAD = 0.03
"""Shift from arm to arm on the axis of lengths, as a factor, so that intervals do not hide each other."""


def distance_length(data: PlotData) -> Drawing | None:
    """Return the plot; None if the main metric has no values at two numbers of tokens or more."""
    results, main = data.results, data.results.main_metric
    measured = {value.num_tokens for value in results.values_of(main)} - {None}
    points = [point for point in results.usual_points(main) if point.num_tokens in measured and point.route is None]
    if len(measured) < 2:
        return None
    sizes = list(dict.fromkeys(point.resolution for point in points))
    second = CLASS_ACCURACY if results.generates else PSNR
    metrics = [main, second] if len(sizes) == 1 and main != second and results.values_of(second) else [main]
    columns = [(metric, size) for metric in metrics for size in sizes]
    figure = new_figure(WIDTH_INCHES, 6.2)
    panels = figure.subplots(2, len(columns), sharex=True, sharey="row" if len(metrics) == 1 else False, squeeze=False)
    for index, (metric, size) in enumerate(columns):
        of_size = sorted((point for point in points if point.resolution == size), key=_length)
        above, below = panels[:, index]
        for row in results.drawn_rows:
            _line(above, results, metric, of_size, row)
        _differences(below, results, metric, of_size)
        _axes(above, below, of_size)
        if display(metric).is_distance:
            log_if_positive(above, [value.value for value in results.values_of(metric)])
        above.set_title(f"{display(metric).label}, {Point(size, None).label}")
    panels[0][0].set_ylabel("value")
    panels[1][0].set_ylabel(f"minus {results.reference_title}")
    legend_below(figure, panels[0][0], 2 if len(results.drawn_rows) <= 4 else 3)
    return Drawing(figure, "Distance against the number of tokens", _caption(results, metrics) + rows_text(results))


def _caption(results: Results, metrics: Sequence[str]) -> str:
    names = " and ".join(display(metric).label for metric in metrics)
    directions = " ".join(f"{display(metric).label}: {direction_text(metric).lower()}" for metric in metrics)
    return (
        f"{names} against the number of tokens, {samples_text(results, metrics[0])}. {directions} Above: means over"
        f" seeds, bands their range. Below: each arm minus {results.reference_title} with its 95 % interval; filled"
        " where the difference is shown (p < 0.05 after Holm's correction over the arms)."
    )


def _length(point: Point) -> int:
    return point.num_tokens or 0


def _axes(above: Axes, below: Axes, points: Sequence[Point]) -> None:
    below.set_xscale("log", base=2)
    lengths = [_length(point) for point in points]
    crowded = len(lengths) > 5
    below.set_xticks(lengths, [str(length) for length in lengths], fontsize=7 if crowded else None)
    below.set_xticks([], minor=True)
    below.set_xlabel("number of tokens L")
    below.axhline(0, color="#444444", lw=0.8)
    above.tick_params(labelbottom=False)


def _line(axes: Axes, results: Results, metric: str, points: Sequence[Point], row: Row) -> None:
    values = [(_length(point), list(results.by_seed(row, metric, point).values())) for point in points]
    found = [(length, seeds) for length, seeds in values if seeds]
    label = row.label if found else f"{row.label} (missing)"
    lengths = [length for length, _ in found]
    means = [sum(seeds) / len(seeds) for _, seeds in found]
    low, high = ([end(seeds) for _, seeds in found] for end in (min, max))
    if found:
        axes.fill_between(lengths, low, high, color=colour(row), alpha=0.2, lw=0)
    axes.plot(
        lengths, means, line(results, row), color=colour(row), marker=marker(row), markersize=5, lw=1.6, label=label
    )


def _differences(axes: Axes, results: Results, metric: str, points: Sequence[Point]) -> None:
    drawn = results.drawn_rows
    for point in points:
        for found in against_reference(results, metric, point):
            if found.row not in drawn:
                continue
            place = _length(point) * (1 + SPREAD) ** (drawn.index(found.row) - (len(drawn) - 1) / 2)
            value, interval = found.estimate.value, found.estimate.interval
            if found.estimate.known:
                axes.plot([place, place], list(interval), color=colour(found.row), lw=1.2)
            axes.plot(
                [place],
                [value],
                color=colour(found.row),
                marker=marker(found.row),
                markersize=5,
                markerfacecolor=colour(found.row) if found.claimed else "white",
            )
