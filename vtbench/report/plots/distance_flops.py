"""The main distance against the cost of reconstructing one image, a panel a resolution, a marker an arm."""

from __future__ import annotations

import math

from matplotlib.axes import Axes

from vtbench.report.metrics import GFLOPS, display
from vtbench.report.plots.style import (
    WIDTH_INCHES,
    Drawing,
    PlotData,
    colour,
    direction_text,
    legend_below,
    marker,
    new_figure,
    rows_text,
    samples_text,
)
from vtbench.report.results import Point, Results
from vtbench.report.statistics import spread

PANELS_A_LINE = 3


def distance_flops(data: PlotData) -> Drawing | None:
    """Return the plot; None if no point has both a distance and a count of FLOPs."""
    results, metric = data.results, data.results.main_metric
    if results.generates:
        return None
    points = [
        point
        for point in results.points_of(metric)
        if results.values_of(metric, point) and results.values_of(GFLOPS, point)
    ]
    if not points:
        return None
    columns = min(PANELS_A_LINE, len(points))
    lines = math.ceil(len(points) / columns)
    figure = new_figure(WIDTH_INCHES, 2.7 * lines + 0.7)
    panels = [axes for row in figure.subplots(lines, columns, squeeze=False) for axes in row]
    for axes, point in zip(panels, points, strict=False):
        _panel(axes, results, metric, point)
    for axes in panels[len(points) :]:
        axes.set_visible(False)
    figure.supylabel(display(metric).label, fontsize=9)
    legend_below(figure, panels[0], 2 if len(results.drawn_rows) <= 4 else 3)
    caption = (
        f"{display(metric).label} against the cost of encoding, quantising and decoding one image"
        f" (2 × multiply-accumulate, attention included), {samples_text(results, metric)}."
        f" {direction_text(metric)} Markers are means over seeds, bars their range."
    )
    return Drawing(figure, "Distance against cost", caption + rows_text(results))


def _panel(axes: Axes, results: Results, metric: str, point: Point) -> None:
    trained = "trained at" if results.is_trained(point) else "not trained at"
    axes.set_title(point.label if point.route is not None else f"{point.label} ({trained})")
    axes.set_xlabel(f"{display(GFLOPS).label} an image")
    highest = 0.0
    for row in results.drawn_rows:
        distances = list(results.by_seed(row, metric, point).values())
        cost = results.spread(row, GFLOPS, point)
        middle = spread(distances)
        if middle is None or cost is None:
            axes.errorbar([], [], color=colour(row), marker=marker(row), ls="", label=f"{row.label} (missing)")
            continue
        reach = [[middle.mean - min(distances)], [max(distances) - middle.mean]]
        axes.errorbar(
            [cost.mean],
            [middle.mean],
            yerr=reach,
            color=colour(row),
            marker=marker(row),
            markersize=7,
            ls="",
            capsize=3,
            label=row.label,
        )
        highest = max(highest, cost.mean)
    axes.set_xlim(0, highest * 1.15 or None)
    axes.margins(y=0.2)
