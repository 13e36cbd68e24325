"""The distance of samples against what an image costs, counted and by the clock: a marker a point, a line an arm.

Drawn for studies of generators. The thin grey line is the front: no point costs less and is nearer.
"""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator

from vtbench.report.metrics import GFLOPS, SECONDS, display
from vtbench.report.plots.style import (
    WIDTH_INCHES,
    Drawing,
    PlotData,
    colour,
    direction_text,
    legend_below,
    line,
    marker,
    new_figure,
    rows_text,
    samples_text,
)
from vtbench.report.results import Point, Results, Row

COSTS = (GFLOPS, SECONDS)


def generation_cost(data: PlotData) -> Drawing | None:
    """Return the plot; None if no point of a generator has both a distance and a cost."""
    results, metric = data.results, data.results.main_metric
    if not results.generates:
        return None
    costs = [cost for cost in COSTS if results.values_of(cost)]
    sizes = list(dict.fromkeys(str(point.resolution) for point in results.points if results.values_of(metric, point)))
    if not costs or not sizes:
        return None
    figure = new_figure(WIDTH_INCHES, 2.7 * len(sizes) + 0.7)
    panels = figure.subplots(len(sizes), len(costs), squeeze=False, sharey="row")
    for lines, size in zip(panels, sizes, strict=True):
        for axes, cost in zip(lines, costs, strict=True):
            _panel(axes, results, metric, cost, size)
        lines[0].set_ylabel(display(metric).label)
    legend_below(figure, panels[0][0], 2 if len(results.drawn_rows) <= 4 else 3)
    caption = (
        f"{display(metric).label} against the cost of one image, its tokens and its decoding together,"
        f" {samples_text(results, metric)}. {direction_text(metric)} Markers are means over seeds, larger where more"
        " tokens are made; filled without guidance. Grey: the front, below which no point lies."
    )
    return Drawing(figure, "Distance of samples against cost", caption + rows_text(results))


def _panel(axes: Axes, results: Results, metric: str, cost: str, size: str) -> None:
    points = [point for point in results.points if point.resolution == size]
    everything = []
    for row in results.drawn_rows:
        found = sorted(_of(results, row, metric, cost, points), key=lambda each: each[0])
        everything += [(x, y) for x, y, _ in found]
        lost = not found and any(results.is_asked(row, point) for point in points)
        label = f"{row.label} (missing)" if lost else row.label
        axes.plot([], [], line(results, row), color=colour(row), marker=marker(row), label=label)
        for x, y, point in found:
            guided = point.sampling is not None and point.sampling.cfg_scale != 1
            face = "white" if guided else colour(row)
            axes.plot([x], [y], marker(row), color=colour(row), markerfacecolor=face, markersize=_size(points, point))
    front = _front(everything)
    axes.step([x for x, _ in front], [y for _, y in front], where="post", color="#999999", lw=0.8, zorder=0)
    axes.set_title(size.replace("x", "×"))
    axes.set_xlabel(f"{display(cost).label} an image" if cost == GFLOPS else "ms an image, measured")
    axes.set_xscale("log")
    axes.xaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axes.xaxis.set_major_formatter("{x:g}")
    axes.xaxis.set_minor_formatter("")
    axes.margins(y=0.15)


def _of(
    results: Results, row: Row, metric: str, cost: str, points: Sequence[Point]
) -> list[tuple[float, float, Point]]:
    found = []
    for point in points:
        x, y = results.spread(row, cost, point), results.spread(row, metric, point)
        if x is not None and y is not None:
            found.append((x.mean, y.mean, point))
    return found


def _size(points: Sequence[Point], point: Point) -> float:
    """Return the size of a marker: from 4 to 8, by the place of its length among all."""
    lengths = sorted({each.num_tokens or 10**9 for each in points})
    return 4 + 4 * (lengths.index(point.num_tokens or 10**9) + 1) / len(lengths)


def _front(found: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the points that none undercuts in both, by cost."""
    front: list[tuple[float, float]] = []
    for x, y in sorted(found):
        if not front or y < front[-1][1]:
            front.append((x, y))
    return front
