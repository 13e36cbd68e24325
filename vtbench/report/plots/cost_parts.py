"""What one use of each arm is made of, in full: stacked bars at the smallest and the largest resolution."""

from __future__ import annotations

from matplotlib.axes import Axes
from matplotlib.patches import Patch

from vtbench.report.cost_data import FULL, OTHER, PRODUCT, CostCellData, Costs
from vtbench.report.cost_tables import size, unit
from vtbench.report.metrics import number
from vtbench.report.plots.style import WIDTH_INCHES, Drawing, new_figure

_COLOURS = ("#0173b2", "#de8f05", "#029e73", "#cc78bc", "#949494", "#56b4e9")
_HATCH = "/////"


def cost_parts(costs: Costs) -> Drawing | None:
    """Return the plot; None if nothing has been counted."""
    names = list(dict.fromkeys(part.name for cell in costs.data.cells for part in cell.parts))
    if not names:
        return None
    places = list(dict.fromkeys([costs.resolutions[0], costs.resolutions[-1]]))
    figure = new_figure(WIDTH_INCHES, 0.32 * len(costs.rows) + 1.6)
    panels = figure.subplots(1, len(places), sharey=True, squeeze=False)[0]
    for axes, resolution in zip(panels, places, strict=True):
        _panel(axes, costs, resolution, names)
    panels[0].set_yticks(range(len(costs.rows)), [row.label for row in costs.rows])
    panels[0].invert_yaxis()
    handles = [Patch(facecolor=_colour(names, name), label=name) for name in names]
    handles += [Patch(facecolor="#ffffff", edgecolor="#444444", label=PRODUCT)]
    handles += [Patch(facecolor="#ffffff", edgecolor="#444444", hatch=_HATCH, label=OTHER)]
    figure.legend(
        handles=handles,
        loc="outside lower center",
        ncols=min(6, len(handles)),
        columnspacing=1.4,
        handlelength=1.6,
        fontsize=8,
    )
    caption = (
        f"Parts of one use of each arm, batch 1, every matrix product. Plain: {PRODUCT} layers; hatched: {OTHER}."
        " Each panel has its own scale."
    )
    return Drawing(figure, "What the cost is made of", caption)


def _panel(axes: Axes, costs: Costs, resolution: str, names: list[str]) -> None:
    axes.set_title(size(resolution))
    axes.set_xlabel(unit(FULL))
    highest = 0.0
    for place, row in enumerate(costs.rows):
        highest = max(highest, _bar(axes, place, row.cells[resolution], names))
    axes.set_xlim(0, highest * 1.18 or 1.0)
    axes.xaxis.set_major_formatter("{x:,g}")
    axes.locator_params(axis="x", nbins=5)
    axes.grid(visible=False, axis="y")


def _bar(axes: Axes, place: int, cell: CostCellData, names: list[str]) -> float:
    """Draw one arm's bar with its sum behind it and return the sum, in 10^9 FLOPs."""
    left = 0.0
    for part in sorted(cell.parts, key=lambda part: names.index(part.name)):
        for flops, hatch in ((part.linear, None), (part.other, _HATCH)):
            if flops:
                axes.barh(
                    place,
                    flops / 1e9,
                    left=left,
                    height=0.7,
                    color=_colour(names, part.name),
                    edgecolor="#ffffff",
                    linewidth=0.4,
                    hatch=hatch,
                )
                left += flops / 1e9
    text = number(left) if cell.parts else "missing"
    axes.annotate(text, (left, place), xytext=(3, 0), textcoords="offset points", va="center", fontsize=8)
    return left


def _colour(names: list[str], name: str) -> str:
    return _COLOURS[names.index(name) % len(_COLOURS)]
