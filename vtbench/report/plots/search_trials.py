"""A search's figures: its history, what mattered, where the values lay, and the trade of two objectives."""

from __future__ import annotations

import json

from matplotlib.axes import Axes

from vtbench.report.metrics import display
from vtbench.report.plots.style import WIDTH_INCHES, Drawing, new_figure
from vtbench.report.search_data import SearchResults, TrialResult
from vtbench.schema.base import canonical_json
from vtbench.schema.search import SearchParameter

BLUE, ORANGE, GREY = "#0173b2", "#de8f05", "#949494"
MOST_SLICES = 6
"""Searched values that have a panel each, the most important ones."""


def search_drawings(results: SearchResults) -> dict[str, Drawing]:
    """Return the figures that have something to show, by name."""
    if not results.done:
        return {}
    drawn = {
        "search_history": search_history(results),
        "search_front": search_front(results),
        "search_importance": search_importance(results),
        "search_slices": search_slices(results),
    }
    return {name: drawing for name, drawing in drawn.items() if drawing is not None}


def search_history(results: SearchResults) -> Drawing:
    """Return each trial's values in the order of asking, with the best so far."""
    objectives = results.objectives
    figure = new_figure(WIDTH_INCHES, 0.6 + 2.4 * len(objectives))
    panels = figure.subplots(len(objectives), 1, sharex=True, squeeze=False)[:, 0]
    for index, (axes, objective) in enumerate(zip(panels, objectives, strict=True)):
        numbers, values = _points(results, index)
        better = min if objective.direction == "min" else max
        best = [better(values[: position + 1]) for position in range(len(values))]
        axes.plot(numbers, values, "o", color=BLUE, markersize=4, label="trial")
        axes.step(numbers, best, where="post", color=ORANGE, lw=1.2, label="best so far")
        missing = [one.trial.number for one in results.data.results if one.trial.state in ("pruned", "failed")]
        if missing:
            axes.plot(missing, [_worst(objective.direction, values)] * len(missing), "x", color=GREY, label="no value")
        axes.set_ylabel(display(objective.metric).label)
    panels[-1].set_xlabel("trial")
    panels[-1].xaxis.get_major_locator().set_params(integer=True)
    handles, labels = panels[0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=3)
    names = ", ".join(results.label(objective) for objective in objectives)
    caption = (
        f"{names} of each finished trial in the order of asking, {_seeds(results)}. Crosses, at the worst value seen:"
        " trials that were pruned or failed."
    )
    return Drawing(figure, "History of the search", caption)


def search_front(results: SearchResults) -> Drawing | None:
    """Return the first two objectives against each other with the Pareto front; None for one objective."""
    if len(results.objectives) < 2:
        return None
    figure = new_figure(WIDTH_INCHES, 3.6)
    axes = figure.subplots()
    second, first = (display(objective.metric) for objective in results.objectives[1::-1])
    points = {one.trial.number: one.trial.objectives for one in results.done}
    axes.plot(
        [values[1] / second.scale for values in points.values()],
        [values[0] / first.scale for values in points.values()],
        "o",
        color=GREY,
        markersize=4,
        label="trial",
    )
    front = sorted((one.trial.objectives[1], one.trial.objectives[0], one.trial.number) for one in results.front())
    xs, ys = [x / second.scale for x, _, _ in front], [y / first.scale for _, y, _ in front]
    axes.plot(xs, ys, "o-", color=ORANGE, markersize=5, lw=1.0, label="Pareto front")
    for x, y, (_, _, trial) in zip(xs, ys, front, strict=True):
        axes.annotate(str(trial), (x, y), xytext=(4, 4), textcoords="offset points", fontsize=7)
    axes.set_xlabel(f"{second.heading} ({results.label(results.objectives[1])})")
    axes.set_ylabel(f"{first.heading} ({results.label(results.objectives[0])})")
    axes.legend()
    more = "" if len(results.objectives) == 2 else " The front is that of all objectives."
    caption = f"Each finished trial by its first two objectives, {_seeds(results)}; numbers are trials.{more}"
    return Drawing(figure, "Pareto front", caption)


def search_importance(results: SearchResults) -> Drawing | None:
    """Return the share of each searched value, a bar an objective; None while nobody can say."""
    shares = results.data.importances
    if not any(shares):
        return None
    paths = sorted(results.paths, key=lambda path: sum(share.get(path, 0.0) for share in shares))
    figure = new_figure(WIDTH_INCHES, 0.9 + 0.34 * len(paths) * len(shares))
    axes = figure.subplots()
    height = 0.8 / len(shares)
    for index, (share, objective) in enumerate(zip(shares, results.objectives, strict=True)):
        places = [place + 0.4 - height * (index + 0.5) for place in range(len(paths))]
        widths = [share.get(path, 0.0) for path in paths]
        axes.barh(places, widths, height * 0.9, color=(BLUE, ORANGE, GREY)[index % 3], label=results.label(objective))
    axes.set_yticks(range(len(paths)), paths)
    axes.set_xlabel("importance (PED-ANOVA), shares of 1")
    if len(shares) > 1:
        axes.legend()
    caption = f"How much each searched value mattered among {len(results.done)} finished trials, by Optuna's PED-ANOVA."
    return Drawing(figure, "Importance of the searched values", caption)


def search_slices(results: SearchResults) -> Drawing:
    """Return the first objective by each of the most important values."""
    share = results.data.importances[0]
    paths = sorted(results.paths, key=lambda path: -share.get(path, 0.0))[:MOST_SLICES]
    columns = min(3, len(paths))
    rows = -(-len(paths) // columns)
    figure = new_figure(WIDTH_INCHES, 2.3 * rows)
    panels = figure.subplots(rows, columns, sharey=True, squeeze=False)
    shown = display(results.objectives[0].metric)
    best = results.ranked()[0]
    for index in range(rows * columns):
        axes = panels[index // columns][index % columns]
        if index >= len(paths):
            axes.set_visible(False)
            continue
        parameter = results.search.space[paths[index]]
        for one in results.done:
            x, y = _place(parameter, one, paths[index]), one.trial.objectives[0] / shown.scale
            axes.plot([x], [y], "o", color=ORANGE if one is best else BLUE, markersize=5 if one is best else 4)
        _scale(axes, parameter, paths[index])
        if index % columns == 0:
            axes.set_ylabel(shown.label)
    title = results.label(results.objectives[0])
    caption = f"{title} of each finished trial by its values, {_seeds(results)}; the best trial is orange."
    return Drawing(figure, "Where the values lay", caption)


def _points(results: SearchResults, index: int) -> tuple[list[int], list[float]]:
    scale = display(results.objectives[index].metric).scale
    return [one.trial.number for one in results.done], [one.trial.objectives[index] / scale for one in results.done]


def _worst(direction: str, values: list[float]) -> float:
    return max(values) if direction == "min" else min(values)


def _place(parameter: SearchParameter, result: TrialResult, path: str) -> float:
    """Return where a trial's value lies on its axis: itself, or the place of its choice."""
    value = result.trial.values[path]
    if parameter.choices is None:
        return float(value)
    return float([canonical_json(choice) for choice in parameter.choices].index(canonical_json(value)))


def _scale(axes: Axes, parameter: SearchParameter, path: str) -> None:
    axes.set_xlabel(path.partition(".")[2])
    if parameter.choices is not None:
        texts = [choice if isinstance(choice, str) else json.dumps(choice) for choice in parameter.choices]
        axes.set_xlim(-0.5, len(texts) - 0.5)
        axes.set_xticks(range(len(texts)), [text if len(text) <= 14 else f"{text[:13]}…" for text in texts])
    elif parameter.log:
        axes.set_xscale("log")
        axes.xaxis.set_major_formatter("{x:g}")
        axes.xaxis.set_minor_formatter("")
        axes.set_xlim(float(parameter.ends[0]) / 1.1, float(parameter.ends[-1]) * 1.1)


def _seeds(results: SearchResults) -> str:
    seeds = len(results.data.plan.seeds)
    return f"{seeds} seed" if seeds == 1 else f"mean of {seeds} seeds"
