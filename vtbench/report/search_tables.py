"""The tables and sentences of a search's report."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence

from vtbench.report.metrics import display, number
from vtbench.report.search_data import SearchResults, TrialResult
from vtbench.report.statistics import spread
from vtbench.report.tables import NONE, Column, Table, spread_text
from vtbench.schema.base import canonical_json
from vtbench.schema.search import Objective

MOST_BEST = 5
EDGE = 0.05
"""A best value within this share of its range from an end suggests that the range is too narrow."""


def findings(results: SearchResults) -> list[str]:
    """Return what came out, a sentence each."""
    return [*_progress(results), *(_outcome(results) if results.done else ())]


def best(results: SearchResults) -> Table:
    """Return the best trials: by the objective, or of several objectives the Pareto front."""
    if len(results.objectives) > 1:
        chosen, title = sorted(results.front(), key=lambda one: one.trial.objectives[0]), "Pareto front"
        notes = ["No other trial is as good in all objectives and better in one."]
    else:
        chosen, title, notes = results.ranked()[:MOST_BEST], "Best trials", []
    return _table(results, title, chosen, [*notes, _counts(results)])


def trials(results: SearchResults) -> Table:
    """Return all trials, in the order of asking."""
    return _table(results, "All trials", results.data.results, [_counts(results)])


def importances(results: SearchResults) -> Table | None:
    """Return which values mattered, or None while nobody can say."""
    shares = results.data.importances
    if not any(shares):
        return None
    columns = (Column("Searched", numeric=False), *(Column(results.label(one)) for one in results.objectives))
    paths = sorted(results.paths, key=lambda path: -sum(share.get(path, 0.0) for share in shares))
    rows = tuple((path, *(f"{share[path]:.2f}" if path in share else NONE for share in shares)) for path in paths)
    note = (
        f"Optuna {results.data.optuna}, PED-ANOVA: how much a value's distribution among the better trials differs from"
        f" that among all {len(results.done)} finished ones; shares sum to 1. With few trials these are hints."
    )
    return Table("Importance", columns, rows, (note,))


def values_text(result: TrialResult) -> str:
    """Return a trial's values, by the last word of their paths."""
    return ", ".join(f"{path.rpartition('.')[2]} {_shown(value)}" for path, value in result.trial.values.items())


def _progress(results: SearchResults) -> Iterator[str]:
    data, search = results.data, results.search
    words = {"done": "finished", "pruned": "pruned", "failed": "failed", "asked": "not told yet"}
    counts = {word: sum(one.trial.state == state for one in data.results) for state, word in words.items()}
    parts = ", ".join(f"{count} {word}" for word, count in counts.items() if count)
    yield (
        f"{len(data.results)} of {data.num_trials} trials, proposed by {search.sampler.name} (seed"
        f" {search.sampler.seed}), {search.parallel} at a time: {parts}."
    )


def _outcome(results: SearchResults) -> Iterator[str]:
    if len(results.objectives) > 1:
        yield f"{len(results.front())} trials form the Pareto front."
    for index, objective in enumerate(results.objectives):
        first = results.ranked(index)[0]
        value = _number(objective, first.trial.objectives[index])
        yield f"Best {results.label(objective)}: {value}, trial {first.trial.number} ({values_text(first)})."
        if index == 0:
            yield from _against_start(results, first)
            yield from _edges(results, first)
    seeds = len(results.data.plan.seeds)
    yield (
        f"The best of {len(results.done)} trials, {seeds} {'seed' if seeds == 1 else 'seeds'} each, is chosen for being"
        " high or low and so looks better than it is: train its values with new seeds before believing a small lead."
    )


def _against_start(results: SearchResults, first: TrialResult) -> Iterator[str]:
    """Yield how the best trial compares with the values that the search was started from."""
    objective = results.objectives[0]
    for one in results.done:
        if one.trial.number < len(results.search.start) and one is not first:
            difference = first.trial.objectives[0] - one.trial.objectives[0]
            unit = display(objective.metric).unit
            yield (
                f"Trial {one.trial.number}, given by the study: {_number(objective, one.trial.objectives[0])}; the best"
                f" differs by {difference / display(objective.metric).scale:+.3g}{f' {unit}' if unit else ''}."
            )


def _edges(results: SearchResults, first: TrialResult) -> Iterator[str]:
    """Yield the parameters whose best value lies at an end of their range."""
    for path, parameter in results.search.space.items():
        if parameter.choices is not None or len(parameter.ends) < 2:
            continue
        low, high, value = float(parameter.ends[0]), float(parameter.ends[-1]), float(first.trial.values[path])
        share = _share(low, high, value, parameter.log)
        if share < EDGE or share > 1 - EDGE:
            end = "lower" if share < 0.5 else "upper"
            yield f"The best {path} lies at the {end} end of its range: better ones may lie beyond."


def _share(low: float, high: float, value: float, log: bool) -> float:
    """Return where a value lies in its range, 0 to 1."""
    return math.log(value / low) / math.log(high / low) if log else (value - low) / (high - low)


def _table(results: SearchResults, title: str, chosen: Sequence[TrialResult], notes: Sequence[str]) -> Table:
    columns = [Column("Trial", numeric=False)]
    columns += [Column(_heading(results, objective)) for objective in results.objectives]
    columns += [Column(path, numeric=results.search.space[path].choices is None) for path in results.paths]
    columns.append(Column("State", numeric=False))
    rows = []
    for one in chosen:
        cells = [_objective_cell(results, one, index) for index in range(len(results.objectives))]
        values = [_shown(one.trial.values[path]) for path in results.paths]
        rows.append((str(one.trial.number), *cells, *values, _state(one)))
    leading = {one.trial.number for one in results.ranked()[:1]} if len(results.objectives) == 1 else set()
    marked = frozenset((row, 1) for row, one in enumerate(chosen) if one.trial.number in leading)
    return Table(title, tuple(columns), tuple(rows), tuple(notes), marked)


def _objective_cell(results: SearchResults, result: TrialResult, index: int) -> str:
    if result.trial.state != "done":
        return NONE
    scale = display(results.objectives[index].metric).scale
    return spread_text(spread([value / scale for value in result.by_seed[index]]), len(results.data.plan.seeds))


def _state(result: TrialResult) -> str:
    trial = result.trial
    match trial.state:
        case "pruned":
            step, value = trial.reported[-1]
            return f"pruned at step {step} ({value:.4g})"
        case "failed":
            return f"failed: {' '.join((trial.cause or '').split())}"
        case "asked":
            return "not told yet"
    return "done"


def _counts(results: SearchResults) -> str:
    """Return on how many images and seeds the objectives stand."""
    seeds = len(results.data.plan.seeds)
    counts = [
        f"{display(objective.metric).title}: {'counted' if count is None else f'n = {count:,} images'}"
        for objective, count in zip(results.objectives, results.data.num_samples, strict=True)
    ]
    return f"{'; '.join(dict.fromkeys(counts))}; {seeds} {'seed' if seeds == 1 else 'seeds'} a trial."


def _heading(results: SearchResults, objective: Objective) -> str:
    arrow = "↓" if objective.direction == "min" else "↑"
    point = results.label(objective).partition("@")[2].replace("x", "×")
    return f"{display(objective.metric).label} {point} {arrow}"


def _number(objective: Objective, value: float) -> str:
    shown = display(objective.metric)
    return f"{number(value / shown.scale)}{f' {shown.unit}' if shown.unit else ''}"


def _shown(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else value if isinstance(value, str) else canonical_json(value)
