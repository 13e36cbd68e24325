"""Distance and class accuracy of samples against the strength of guidance, a panel a length, a line an arm.

Drawn for studies that sample at two strengths or more. Of several top-k, top-p and temperatures each is a line of its
own style.
"""

from __future__ import annotations

from matplotlib.axes import Axes

from vtbench.report.metrics import CLASS_ACCURACY, display
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
from vtbench.report.results import Point, Results, Row, sampling_text
from vtbench.schema.generation import Sampling

_STYLES = ("-", "--", ":", "-.")
MOST_LENGTHS = 4


def guidance(data: PlotData) -> Drawing | None:
    """Return the plot; None if samples were drawn at fewer than two strengths of guidance."""
    results, main = data.results, data.results.main_metric
    ways = list(dict.fromkeys(point.sampling for point in results.points if point.sampling is not None))
    if len({way.cfg_scale for way in ways}) < 2:
        return None
    metrics = [name for name in dict.fromkeys((main, CLASS_ACCURACY)) if results.values_of(name)]
    lengths = list(dict.fromkeys(point.num_tokens for point in results.points))[-MOST_LENGTHS:]
    if not metrics:
        return None
    figure = new_figure(WIDTH_INCHES, 2.6 * len(metrics) + 0.9)
    panels = figure.subplots(len(metrics), len(lengths), sharex=True, sharey="row", squeeze=False)
    size = str(results.points[0].resolution)
    for lines, metric in zip(panels, metrics, strict=True):
        for axes, length in zip(lines, lengths, strict=True):
            _panel(axes, results, metric, size, length, ways)
            axes.set_title("all tokens" if length is None else f"{length} tokens")
        lines[0].set_ylabel(display(metric).label, fontsize=8)
    for axes in panels[-1]:
        axes.set_xlabel("guidance scale")
    legend_below(figure, panels[0][0], 2)
    directions = " ".join(f"{display(metric).label}: {direction_text(metric).lower()}" for metric in metrics)
    caption = (
        f"Samples at {size.replace('x', '×')} against the scale of classifier-free guidance (1: none),"
        f" {samples_text(results, main)}. {directions} Means over seeds, bars their range."
    )
    return Drawing(figure, "Guidance", caption + rows_text(results))


def _panel(axes: Axes, results: Results, metric: str, size: str, length: int | None, ways: list[Sampling]) -> None:
    filters = list(dict.fromkeys(_unguided(way) for way in ways))
    for row in results.drawn_rows:
        for index, kept in enumerate(filters):
            of_filter = sorted((way for way in ways if _unguided(way) == kept), key=lambda way: way.cfg_scale)
            _line(axes, results, row, metric, [Point(size, length, None, way) for way in of_filter], index)


def _unguided(way: Sampling) -> Sampling:
    return way.model_copy(update={"cfg_scale": 1.0})


def _line(axes: Axes, results: Results, row: Row, metric: str, points: list[Point], style: int) -> None:
    found = [(point, list(results.by_seed(row, metric, point).values())) for point in points]
    known = [(point.sampling, seeds) for point, seeds in found if seeds and point.sampling is not None]
    first = points[0].sampling
    text = "" if first is None else sampling_text(_unguided(first))
    label = ", ".join(filter(None, [row.label, text])) + ("" if known else " (missing)")
    middle = [sum(seeds) / len(seeds) for _, seeds in known]
    reach = [
        [mean - min(seeds) for mean, (_, seeds) in zip(middle, known, strict=True)],
        [max(seeds) - mean for mean, (_, seeds) in zip(middle, known, strict=True)],
    ]
    axes.errorbar(
        [way.cfg_scale for way, _ in known],
        middle,
        yerr=reach if known else None,
        ls=_STYLES[style % len(_STYLES)],
        color=colour(row),
        marker=marker(row),
        markersize=4,
        lw=1.4,
        capsize=2,
        label=label,
    )
