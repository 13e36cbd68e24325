"""Seconds an image against its size: what its tokens take, what its decoding takes, and both; a line an arm.

Drawn for studies of generators that measured speed at two sizes or more. An arm whose tokens stand on a grid has one
size, so a marker.
"""

from __future__ import annotations

from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.ticker import LogLocator

from vtbench.report.generation_growth import speed_points
from vtbench.report.metrics import SECONDS, display
from vtbench.report.plots.style import (
    WIDTH_INCHES,
    Drawing,
    PlotData,
    colour,
    legend_below,
    line,
    log_if_positive,
    marker,
    new_figure,
    rows_text,
)
from vtbench.report.results import Point, Results, Row

PARTS = {"seconds_per_image_sampling": "tokens", "seconds_per_image_decoder": "decoding", SECONDS: "both"}


def generation_speed(data: PlotData) -> Drawing | None:
    """Return the plot; None if no generator's speed was measured at two sizes."""
    results = data.results
    points = speed_points(results)
    if not results.generates or len({point.resolution for point in points}) < 2:
        return None
    figure = new_figure(WIDTH_INCHES, 3.8)
    panels = figure.subplots(1, len(PARTS), sharey=True)
    for axes, (metric, title) in zip(panels, PARTS.items(), strict=True):
        for row in results.drawn_rows:
            _line(axes, results, row, metric, points)
        axes.set_title(title)
        axes.set_xscale("log")
        sides = {point.side: str(point.resolution).replace("x", "×") for point in points}
        axes.set_xticks(list(sides), list(sides.values()), rotation=35, ha="right")
        axes.set_xticks([], minor=True)
    log_if_positive(panels[0], [y for axes in panels for drawn in axes.lines for y in drawn.get_ydata()])
    panels[0].yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
    panels[0].yaxis.set_minor_formatter("")
    panels[0].set_ylabel("ms an image, measured")
    legend_below(figure, panels[0], 2 if len(results.drawn_rows) <= 4 else 3)
    batches = " or ".join(f"{count:,}" for count in sorted(results.num_samples(SECONDS)))
    caption = (
        "Time of an image against its size: all steps of sampling its tokens, decoding them, and both. A batch's time"
        f" shared by its images (batches of {batches}); markers are means over seeds of the median of repeats, bars"
        " reach from the fastest to the slowest repeat. Lower is better."
    )
    return Drawing(figure, "Seconds an image against its size", caption + rows_text(results))


def _line(axes: Axes, results: Results, row: Row, metric: str, points: Sequence[Point]) -> None:
    found = []
    for point in points:
        spread = results.spread(row, metric, point)
        if spread is not None:
            found.append((point.side, spread.mean, _range(results, row, metric, point) or (spread.mean, spread.mean)))
    label = row.label if found else f"{row.label} (missing)"
    sides, means = [side for side, *_ in found], [y for _, y, _ in found]
    shown = axes.plot(sides, means, line(results, row), color=colour(row), lw=1.6, label=label)
    shown[0].set(marker=marker(row), markersize=5)
    for side, _, (low, high) in found:
        axes.plot([side, side], [low, high], color=colour(row), lw=1.0)


def _range(results: Results, row: Row, metric: str, point: Point) -> tuple[float, float] | None:
    """Return the fastest and the slowest repeat of all seeds, scaled for display."""
    values = [results.value(row, seed, metric, point) for seed in row.runs]
    bounds = [value.interval for value in values if value is not None and value.interval is not None]
    if not bounds:
        return None
    scale = display(metric).scale
    return min(low for low, _ in bounds) / scale, max(high for _, high in bounds) / scale
