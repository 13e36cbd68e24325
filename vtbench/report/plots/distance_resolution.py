"""The main distance against the resolution, a line an arm, both axes logarithmic."""

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

MARGIN = 1.06
"""How far the shade of the training sizes reaches beyond them, as a factor."""


def distance_resolution(data: PlotData) -> Drawing | None:
    """Return the plot, one panel a latent length; None if the main metric has no values at two sizes or more."""
    results, metric = data.results, data.results.main_metric
    points = [point for point in results.points_of(metric) if point.route is None]
    measured = {value.resolution for value in results.values_of(metric) if value.route is None} - {None}
    if len(measured) < 2:
        return None
    lengths = list(dict.fromkeys(point.num_tokens for point in points))
    figure = new_figure(WIDTH_INCHES, 4.2)
    panels = figure.subplots(1, len(lengths), sharey=True, squeeze=False)[0]
    for axes, length in zip(panels, lengths, strict=True):
        of_length = sorted((point for point in points if point.num_tokens == length), key=lambda point: point.side)
        _panel(axes, results, metric, of_length)
        if length is not None or len(lengths) > 1:
            axes.set_title(f"L = {length}" if length is not None else "full length")
    panels[0].set_ylabel(display(metric).label)
    log_if_positive(panels[0], [value.value for value in results.values_of(metric)])
    legend_below(figure, panels[0], 2 if len(results.drawn_rows) <= 4 else 3)
    caption = (
        f"{display(metric).label} against the resolution of evaluation, {samples_text(results, metric)}."
        f" {direction_text(metric)} Lines are means over seeds, bands their range; shaded: sizes trained at."
    )
    return Drawing(figure, "Distance against resolution", caption + rows_text(results))


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
