"""Cost against resolution, both axes logarithmic, a panel a component.

Each arm has a line in full, and a thin dashed one by the convention that figures of it were published with.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from matplotlib.axes import Axes
from matplotlib.lines import Line2D
from matplotlib.ticker import LogLocator

from vtbench.report.cost_data import FULL, CostRow, Costs
from vtbench.report.cost_tables import short_size, unit
from vtbench.report.plots.style import WIDTH_INCHES, Drawing, colour, marker, new_figure
from vtbench.schema.base import parse_resolution
from vtbench.schema.cost_study import TOTAL

MAX_PANELS_A_LINE = 3
COVERED = 0.02
"""Relative difference below which one line hides another."""

_PUBLISHED_COLOUR = "#444444"


def cost_resolution(costs: Costs) -> Drawing | None:
    """Return the plot; None if fewer than two resolutions have been counted."""
    counted = [at for at in costs.resolutions if any(row.figure(at, TOTAL, FULL) for row in costs.rows)]
    if len(counted) < 2:
        return None
    components = costs.study.components
    columns = min(MAX_PANELS_A_LINE, len(components))
    lines = math.ceil(len(components) / columns)
    handles = _legend(costs)
    legend_columns = 3 if len(handles) > 6 else 2
    legend_inches = 0.2 * math.ceil(len(handles) / legend_columns) + 0.25
    figure = new_figure(WIDTH_INCHES, (4.0 if columns == 1 else 3.1) * lines + legend_inches)
    panels = [axes for row in figure.subplots(lines, columns, squeeze=False, sharey=True) for axes in row]
    for axes, component in zip(panels, components, strict=False):
        _panel(axes, costs, component, counted)
    for axes in panels[len(components) :]:
        axes.set_visible(False)
    panels[0].set_ylabel("GFLOPs")
    figure.legend(handles=handles, loc="outside lower center", ncols=legend_columns)
    names = sorted({name for row in costs.rows if (name := costs.convention_of(row)) is not None})
    thin = f" Thin dashed lines: {' and '.join(names)}, as published." if names else ""
    crosses = " Crosses: the published figures." if costs.study.published else ""
    caption = f"{unit(FULL)} against the resolution, batch 1. Solid lines: every matrix product.{thin}{crosses}"
    return Drawing(figure, "Cost against resolution", caption)


def _panel(axes: Axes, costs: Costs, component: str, resolutions: list[str]) -> None:
    if len(costs.study.components) > 1:
        axes.set_title("one use" if component == TOTAL else component.replace("_", " "))
    lines = [_Line(row, FULL, _places(row, component, FULL, resolutions)) for row in costs.rows]
    names = {row.label: costs.convention_of(row) for row in costs.rows}
    thin = [
        _Line(row, name, _places(row, component, name, resolutions)) for row in costs.rows if (name := names[row.label])
    ]
    for index, line in enumerate(lines):
        extra = _num_equal(line, lines[index + 1 :])
        line.draw(axes, lw=1.6 + 2.4 * extra, marker=marker(line.row), markersize=4.5 + 3.5 * extra)
    for index, line in enumerate(thin):
        line.draw(axes, lw=0.9 + 1.6 * _num_equal(line, thin[index + 1 :]), ls=(0, (4, 2)))
    for figure in costs.study.published:
        if figure.component == component:
            axes.plot(_side(figure.resolution), figure.value, "x", color=_PUBLISHED_COLOUR, markersize=6, zorder=5)
    axes.set_xlabel("resolution (pixels)")
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks([_side(at) for at in resolutions], [short_size(at) for at in resolutions])
    axes.set_xticks([], minor=True)
    axes.yaxis.set_major_formatter("{x:,g}")
    axes.yaxis.set_minor_formatter("")
    low, high = axes.get_ylim()
    if high < 200 * low:
        axes.yaxis.set_major_locator(LogLocator(subs=(1, 2, 5)))


@dataclass(frozen=True)
class _Line:
    """An arm under a convention: (side in pixels, cost in 10^9) of each resolution that has been counted."""

    row: CostRow
    convention: str
    places: list[tuple[float, float]]

    def draw(self, axes: Axes, **style: Any) -> None:
        """Draw the line, if there is anything to draw."""
        if self.places:
            axes.plot(*zip(*self.places, strict=True), color=colour(self.row), **style)


def _places(row: CostRow, component: str, convention: str, resolutions: list[str]) -> list[tuple[float, float]]:
    return [(_side(at), value) for at in resolutions if (value := row.giga(at, component, convention))]


def _num_equal(line: _Line, later: list[_Line]) -> int:
    """Return how many lines that are drawn later lie on this one, which must be wider to be seen."""
    return sum(
        len(other.places) == len(line.places)
        and all(abs(own / value - 1) < COVERED for (_, own), (_, value) in zip(line.places, other.places, strict=True))
        for other in later
    )


def _legend(costs: Costs) -> list[Line2D]:
    handles = [
        Line2D([], [], color=colour(row), marker=marker(row), markersize=4.5, label=row.label) for row in costs.rows
    ]
    if any(costs.convention_of(row) for row in costs.rows):
        handles.append(
            Line2D([], [], color=_PUBLISHED_COLOUR, lw=0.9, ls=(0, (4, 2)), label="the published convention")
        )
    if costs.study.published:
        handles.append(Line2D([], [], color=_PUBLISHED_COLOUR, marker="x", ls="", label="published figure"))
    return handles


def _side(resolution: str) -> float:
    """Return the side in pixels of the square of the same area."""
    height, width = parse_resolution(resolution)
    return math.sqrt(height * width)
