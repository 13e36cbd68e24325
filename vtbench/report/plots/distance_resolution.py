"""The main distance against the resolution, a line an arm, both axes logarithmic.

Where a study measures other shapes beside squares, the line is that of the squares, and the other shapes have a panel
of their own: two shapes of one area have the same place on the axis of resolutions.
"""

from __future__ import annotations

from matplotlib.axes import Axes

from vtbench.report.metrics import display
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
from vtbench.schema.base import parse_resolution

MARGIN = 1.06
"""How far the shade of the training sizes reaches beyond them, as a factor."""


MOST_LENGTHS = 6
"""Panels side by side; of more lengths the last ones."""


def distance_resolution(data: PlotData) -> Drawing | None:
    """Return the plot, one panel a latent length; None if the main metric has no values at two sizes or more."""
    results, metric = data.results, data.results.main_metric
    points = [point for point in results.usual_points(metric) if point.route is None]
    measured = {value.resolution for value in results.values_of(metric) if value.route is None} - {None}
    if len(measured) < 2:
        return None
    lengths = list(dict.fromkeys(point.num_tokens for point in points))[-MOST_LENGTHS:]
    squares = [point for point in points if _is_square(point)]
    others = [point for point in points if point not in squares] if squares else []
    figure = new_figure(WIDTH_INCHES, 7.6 if others else 4.2)
    grid = figure.subplots(2 if others else 1, len(lengths), sharey=True, squeeze=False)
    panels = grid[0]
    for index, length in enumerate(lengths):
        of_length = sorted((p for p in squares or points if p.num_tokens == length), key=lambda point: point.side)
        _panel(panels[index], results, metric, of_length)
        if others:
            _shapes(grid[1][index], results, metric, [point for point in others if point.num_tokens == length])
            grid[1][index].set_ylabel(display(metric).label if index == 0 else "")
        if length is not None or len(lengths) > 1:
            panels[index].set_title(f"L = {length}" if length is not None else "full length")
    panels[0].set_ylabel(display(metric).label)
    log_if_positive(panels[0], [value.value for value in results.values_of(metric)])
    legend_below(figure, panels[0], 2 if len(results.drawn_rows) <= 4 else 3)
    caption = (
        f"{display(metric).label} against the resolution of evaluation, {samples_text(results, metric)}."
        f" {direction_text(metric)} Lines are means over seeds, bands their range; shaded: sizes trained at."
    )
    if others:
        caption += " Below: other shapes (height × width), bars for the range; starred: trained at by an arm."
    return Drawing(figure, "Distance against resolution", caption + rows_text(results))


def _is_square(point: Point) -> bool:
    height, width = parse_resolution(point.resolution or "1x1")
    return height == width


def _shapes(axes: Axes, results: Results, metric: str, points: list[Point]) -> None:
    """Draw the points side by side, in the plan's order, arm beside arm."""
    rows = results.drawn_rows
    for place, point in enumerate(points):
        for index, row in enumerate(rows):
            seeds = list(results.by_seed(row, metric, point).values())
            x = place + 0.6 * ((index + 0.5) / len(rows) - 0.5)
            if seeds:
                axes.plot([x, x], [min(seeds), max(seeds)], color=colour(row), lw=1.2)
                axes.plot([x], [sum(seeds) / len(seeds)], color=colour(row), marker=marker(row), markersize=5)
    labels = [point.label.partition(",")[0] for point in points]
    stars = ["*" if point.resolution in results.training_sizes else "" for point in points]
    axes.set_xticks(range(len(points)), [label + star for label, star in zip(labels, stars, strict=True)])
    axes.set_xlabel("other shapes")


def _panel(axes: Axes, results: Results, metric: str, points: list[Point]) -> None:
    trained = [Point(size, None).side for size in results.training_sizes]
    axes.axvspan(min(trained) / MARGIN, max(trained) * MARGIN, color="#000000", alpha=0.07, lw=0, label="trained at")
    for row in results.drawn_rows:
        _line(axes, results, metric, points, row)
    axes.set_xscale("log")
    sides = {point.side: point.label.partition(",")[0] for point in points}
    crowded = len(sides) > 5 or any(later / side < 1.12 for side, later in zip(sides, [*sides][1:], strict=False))
    axes.set_xticks(
        list(sides), list(sides.values()), rotation=35 if crowded else 0, ha="right" if crowded else "center"
    )
    axes.set_xticks([], minor=True)
    axes.set_xlabel("resolution of evaluation (pixels, by the root of the area)")


def _line(axes: Axes, results: Results, metric: str, points: list[Point], row: Row) -> None:
    values = [(point.side, list(results.by_seed(row, metric, point).values())) for point in points]
    found = [(side, seeds) for side, seeds in values if seeds]
    if not found:
        axes.plot([], [], color=colour(row), marker=marker(row), lw=1.6, label=f"{row.label} (missing)")
        return
    sides = [side for side, _ in found]
    means = [sum(seeds) / len(seeds) for _, seeds in found]
    axes.fill_between(
        sides,
        [min(seeds) for _, seeds in found],
        [max(seeds) for _, seeds in found],
        color=colour(row),
        alpha=0.2,
        lw=0,
    )
    axes.plot(
        sides, means, line(results, row), color=colour(row), marker=marker(row), markersize=5, lw=1.6, label=row.label
    )
