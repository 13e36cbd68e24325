"""Losses of the training log by step, a line an arm."""

from __future__ import annotations

from collections import defaultdict

from matplotlib.axes import Axes

from vtbench.report.gather import Curve
from vtbench.report.plots.style import (
    WIDTH_INCHES,
    Drawing,
    PlotData,
    colour,
    legend_below,
    line,
    log_if_positive,
    new_figure,
    rows_text,
)
from vtbench.report.results import Results, Row

SHOWN = {"loss": "training loss", "mse": "MSE, pixels in [0, 1]"}
"""Values of the log that are plotted, and their axis labels."""


def training_curves(data: PlotData) -> Drawing | None:
    """Return the plot, one panel a value that a drawn arm logged; None if nothing was logged."""
    results = data.results
    drawn = {run_id for row in results.drawn_rows for run_id in row.runs.values()}
    curves = {curve.run_id: curve for curve in results.data.curves if curve.run_id in drawn}
    names = [name for name in SHOWN if any(name in curve.values for curve in curves.values())]
    if not names:
        return None
    figure = new_figure(WIDTH_INCHES, 3.8)
    panels = figure.subplots(1, len(names), squeeze=False)[0]
    for axes, name in zip(panels, names, strict=True):
        shown = [value for row in results.drawn_rows for value in _line(axes, results, row, curves, name)]
        log_if_positive(axes, shown)
        axes.set_xlabel("training step")
        axes.set_ylabel(SHOWN[name])
    legend_below(figure, panels[0], 2 if len(results.drawn_rows) <= 4 else 3)
    caption = (
        "Training by step, means over blocks of log lines; lines are means over seeds, bands their range"
        f" ({len(results.plan.seeds)} {'seed' if len(results.plan.seeds) == 1 else 'seeds'}). Each step sees one batch"
        " of training images, so these are no measurements of quality."
    )
    return Drawing(figure, "Training curves", caption + rows_text(results))


def _line(axes: Axes, results: Results, row: Row, curves: dict[str, Curve], name: str) -> list[float]:
    """Draw one arm and return the values drawn; a seed that stopped early leaves the mean from there on."""
    by_step: dict[int, list[float]] = defaultdict(list)
    for run_id in row.runs.values():
        curve = curves.get(run_id)
        if curve is None:
            continue
        for step, value in zip(curve.steps, curve.values.get(name, ()), strict=False):
            if value is not None:
                by_step[step].append(value)
    steps = sorted(by_step)
    low, high = [min(by_step[step]) for step in steps], [max(by_step[step]) for step in steps]
    means = [sum(by_step[step]) / len(by_step[step]) for step in steps]
    axes.fill_between(steps, low, high, color=colour(row), alpha=0.18, lw=0)
    axes.plot(steps, means, line(results, row), color=colour(row), lw=1.1, label=row.label)
    return low + high
