"""Which trials are stopped, as a function of stored training logs and of the trials of earlier batches.

Whether a trial is pruned never depends on when a controller looked, nor on trials of its own batch: what a worker did
beyond the step at which it was to stop does not count. So a search that was killed prunes the same trials again.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import optuna
from optuna.pruners import BasePruner
from optuna.trial import FrozenTrial, TrialState

from vtbench.schema.search import PrunerConfig, SearchConfig, Trial
from vtbench.study.proposals import optuna_direction, quiet

Reports = tuple[tuple[int, float], ...]
"""(training step, value), the steps rising."""


@dataclass(frozen=True, kw_only=True)
class Decision:
    """What a pruner says of a trial.

    Attributes:
        pruned: whether the trial is stopped.
        reported: what the pruner saw, up to where it stopped the trial.
        rungs: what it notes for later trials.
    """

    pruned: bool = False
    reported: Reports = ()
    rungs: Mapping[str, float] = field(default_factory=dict)


def logged_reports(pruner: PrunerConfig, logs: Sequence[Sequence[Mapping[str, Any]]], num_steps: int) -> Reports:
    """Return what a trial has to report so far.

    A value at step s is the mean over the log lines of the `window` before s, or the last line before s if that has
    none, then over the seeds. It exists once every seed has logged a line of step s or later.

    Args:
        pruner: when it looks, and at what.
        logs: the lines of each seed's training log.
        num_steps: of training.
    """
    reports: list[tuple[int, float]] = []
    for step in pruner.steps(num_steps):
        means = [_mean(lines, pruner.value, step - pruner.window * num_steps, step) for lines in logs]
        known = [mean for mean in means if mean is not None]
        if len(known) < len(means) or not means:
            break
        reports.append((step, sum(known) / len(known)))
    return tuple(reports)


def decide(search: SearchConfig, earlier: Sequence[Trial], number: int, reports: Reports, num_steps: int) -> Decision:
    """Return what the pruner says of a trial.

    Args:
        search: the pruner and its options.
        earlier: the trials of earlier batches, all told.
        number: of the trial.
        reports: what it has to report so far.
        num_steps: of training.
    """
    if search.pruner.name == "none" or not reports:
        return Decision(reported=reports)
    with quiet():
        direction = optuna_direction(search.pruner.direction)
        # hyperband deals trials out to its brackets by the study's name
        study = optuna.create_study(study_name="search", direction=direction, pruner=_pruner(search.pruner, num_steps))
        study.add_trials([_frozen(trial) for trial in earlier])
        # trials of the same batch keep their numbers and show nothing
        study.add_trials([optuna.create_trial(state=TrialState.FAIL) for _ in range(number - len(earlier))])
        trial = study.ask()
        pruned, seen = False, 0
        while seen < len(reports) and not pruned:
            step, value = reports[seen]
            trial.report(value, step)
            pruned = bool(trial.should_prune())
            seen += 1
        notes = study.get_trials(deepcopy=False)[number].system_attrs
    rungs = {name: float(value) for name, value in notes.items() if name.startswith("completed_rung")}
    return Decision(pruned=pruned, reported=reports[:seen], rungs=rungs)


def _mean(lines: Sequence[Mapping[str, Any]], name: str, begin: float, end: int) -> float | None:
    if not any(int(line["step"]) >= end for line in lines):
        return None
    known = [(int(line["step"]), float(line[name])) for line in lines if line.get(name) is not None]
    past = [(step, value) for step, value in known if step < end]
    values = [value for step, value in past if step >= begin] or [value for _, value in past[-1:]]
    return sum(values) / len(values) if values else None


def _pruner(config: PrunerConfig, num_steps: int) -> BasePruner:
    first, *_, last = (*config.steps(num_steps), num_steps)
    match config.name:
        case "median":
            return optuna.pruners.MedianPruner(n_startup_trials=config.num_startup_trials)
        case "percentile":
            return optuna.pruners.PercentilePruner(config.percentile, n_startup_trials=config.num_startup_trials)
        case "successive_halving":
            return optuna.pruners.SuccessiveHalvingPruner(min_resource=first, reduction_factor=config.reduction_factor)
        case "hyperband":
            return optuna.pruners.HyperbandPruner(
                min_resource=first, max_resource=last, reduction_factor=config.reduction_factor
            )
        case "none":
            return optuna.pruners.NopPruner()


def _frozen(trial: Trial) -> FrozenTrial:
    """Return an earlier trial with what pruners look at: its reports and notes."""
    if trial.state == "failed" or not trial.reported:
        return optuna.create_trial(state=TrialState.FAIL)
    return optuna.create_trial(
        state=TrialState.PRUNED if trial.state == "pruned" else TrialState.COMPLETE,
        value=trial.reported[-1][1],
        intermediate_values=dict(trial.reported),
        system_attrs=dict(trial.rungs),
    )
