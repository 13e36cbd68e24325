"""One panel a metric: each protocol a line, each set of reconstructions a marker."""

from __future__ import annotations

from matplotlib.lines import Line2D

from vtbench.report.metrics import display
from vtbench.report.plots.style import WIDTH_INCHES, Drawing, new_figure
from vtbench.report.protocol_data import Disagreement

_COLOURS = ("#0173b2", "#de8f05", "#d55e00", "#029e73", "#cc78bc")
_MARKERS = "osD^v"


def protocol_values(found: Disagreement) -> Drawing | None:
    """Return the plot, or None if nothing has been measured."""
    if not found.metrics:
        return None
    arms = [*found.presets, *(arm for arm in found.changes if not found.is_cut(arm))][::-1]
    places = {arm.name: place for place, arm in enumerate(arms)}
    figure = new_figure(WIDTH_INCHES, 0.26 * len(arms) + 1.3)
    panels = figure.subplots(1, len(found.metrics), sharey=True, squeeze=False)[0]
    for axes, metric in zip(panels, found.metrics, strict=True):
        low_to_high = display(metric)
        axes.set_title(low_to_high.heading)
        numbers = []
        for index, each in enumerate(found.study.degradations):
            pairs = [(found.value(arm.name, each.name, metric), places[arm.name]) for arm in arms]
            known = [(value, place) for value, place in pairs if value is not None]
            if known:
                axes.plot(*zip(*known, strict=True), ls="", color=_colour(index), marker=_marker(index), markersize=5)
            numbers += [value for value, _ in known]
            ours = found.value(found.canonical.name, each.name, metric)
            if ours is not None:
                axes.axvline(ours, color=_colour(index), lw=0.8, alpha=0.45)
        if low_to_high.is_distance and min(numbers) > 0:
            axes.set_xscale("log")
            axes.xaxis.set_major_formatter("{x:g}")
            axes.xaxis.set_minor_formatter("")
        axes.axhline(len(arms) - len(found.presets) - 0.5, color="#999999", lw=0.8)
    panels[0].set_yticks(range(len(arms)), [arm.title for arm in arms])
    handles = [
        Line2D([], [], ls="", color=_colour(index), marker=_marker(index), markersize=5, label=each.title)
        for index, each in enumerate(found.study.degradations)
    ]
    figure.legend(handles=handles, loc="outside lower center", ncols=len(handles))
    caption = (
        f"The same reconstructions, measured in {len(arms)} ways: above the line the presets, below it"
        f" {found.canonical.title} with one change each. Vertical lines: {found.canonical.title}. A marker off its line"
        f" is the protocol's doing.{_left_out(found)}"
    )
    return Drawing(figure, "One set of reconstructions under every protocol", caption)


def _left_out(found: Disagreement) -> str:
    """Return which arms measure other pictures; they would squeeze all else."""
    names = [arm.title for arm in found.changes if found.is_cut(arm)]
    return f" Not drawn, far off: {', '.join(names)}." if names else ""


def _colour(index: int) -> str:
    return _COLOURS[index % len(_COLOURS)]


def _marker(index: int) -> str:
    return _MARKERS[index % len(_MARKERS)]
