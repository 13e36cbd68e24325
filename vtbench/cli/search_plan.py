"""What `plan` shows of a study that searches: what it would try, and what that costs at most."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from vtbench.cli.output import count, duration, say, show_table
from vtbench.cli.plan_summary import StudyRow
from vtbench.cli.planning import Asked, say_missing
from vtbench.errors import VtbenchError
from vtbench.launch.work_left import BYTES_PER_PARAMETER, measured_bytes
from vtbench.schema.base import canonical_json
from vtbench.schema.search import SearchConfig, SearchParameter, Trial
from vtbench.schema.study import Study, StudyPlan
from vtbench.store.layout import Store
from vtbench.store.remembered import Remembered
from vtbench.store.search import load_ledger
from vtbench.study.expand import expand
from vtbench.study.load import load_study
from vtbench.study.search import num_trials
from vtbench.study.trials import corner_plan, fingerprint, objective_label, point_problems, trial_plan


@dataclass(frozen=True, kw_only=True)
class SearchCost:
    """What is left of a search at most: every trial as costly as the costliest corner of its space.

    Attributes:
        trials: of the whole search.
        told: trials that have ended.
        runs_left: runs that are to be made; those that other studies have made already are counted too, as nobody knows
            what will be asked.
        flops: of their training.
        disk_bytes: of their checkpoints and measured rows.
        corner: the costliest values; None if all cost the same.
    """

    trials: int
    told: int
    runs_left: int
    flops: float
    disk_bytes: float
    corner: Mapping[str, Any] | None

    def device_hours(self, plan: StudyPlan) -> float | None:
        """Return the hours of all devices together at the profile's assumed speed; None if it assumes none."""
        resources = plan.profile.resources
        if resources.peak_flops is None:
            return None
        return self.flops / (resources.peak_flops * resources.utilisation) / 3600


def search_cost(
    study: Study, profile: str, seeds: int | None, overrides: Mapping[str, Any], store: Store
) -> tuple[SearchCost, StudyPlan]:
    """Return what a search costs at most, and the plan of its costliest trial.

    Raises:
        StudyError: something is wrong with the study.
        CostError: an arm cannot be counted.
    """
    from vtbench.study.fairness import facts

    remembered = Remembered(store.cache_dir)
    base, ends = expand(study, profile, seeds, overrides), corner_plan(study, profile, seeds, overrides)
    search = study.search
    assert search is not None
    worst = dict(ends.study.arms[0].set)
    most = dict.fromkeys(worst, 0.0)
    counted = {fact.arm: fact.training_flops for fact in facts(ends, remembered)}
    for arm in ends.study.arms[1:]:
        changed = [path for path, value in arm.set.items() if value != ends.study.arms[0].set[path]]
        extra = counted[arm.name] - counted[ends.study.arms[0].name]
        for path in changed:
            if extra > most[path]:
                worst[path], most[path] = arm.set[path], extra
    try:
        plan = trial_plan(study, profile, seeds, overrides, [Trial(number=0, batch=0, values=worst)])
        fact = facts(plan, remembered)[0]
    except VtbenchError:  # the costliest values of each do not go together
        plan, fact = ends, max(facts(ends, remembered), key=lambda one: one.training_flops)
    ledger = load_ledger(store, base.id)
    told = ledger.told if ledger is not None and ledger.fingerprint == fingerprint(base) else ()
    trials = num_trials(search, profile)
    runs = max(0, trials - len(told)) * len(base.seeds)
    return SearchCost(
        trials=trials,
        told=len(told),
        runs_left=runs,
        flops=fact.training_flops * runs,
        disk_bytes=float(runs * (fact.num_parameters * BYTES_PER_PARAMETER + measured_bytes(base))),
        corner=worst if any(most.values()) else None,
    ), plan


def plan_search_study(path: Path, asked: Asked, store: Store) -> None:
    """Show what a search would try and cost at most, without starting it."""
    study = load_study(path)
    base = expand(study, asked.profile, asked.seeds, asked.overrides)
    cost, _ = search_cost(study, asked.profile, asked.seeds, asked.overrides, store)
    assert study.search is not None
    rows = [(path, _range(parameter)) for path, parameter in study.search.space.items()]
    show_table(f"{base.id}: {base.profile.note.strip()}", ["searched", "values"], rows)
    for line in (*_search_lines(base, study.search), *_cost_lines(base, cost)):
        say(line)
    say_missing(_missing(base, asked, store))


def search_row(path: Path, asked: Asked, store: Store) -> tuple[StudyRow, list[str]]:
    """Return a search as one of several studies, at most; and a line for each thing that a run needs."""
    study = load_study(path)
    base = expand(study, asked.profile, asked.seeds, asked.overrides)
    cost, _ = search_cost(study, asked.profile, asked.seeds, asked.overrides, store)
    resources, hours = base.profile.resources, cost.device_hours(base)
    assumption = None
    if hours is not None and resources.peak_flops is not None:
        assumption = f"{count(resources.peak_flops)}FLOP/s at {resources.utilisation:.0%}"
    row = StudyRow(
        study=study.name,
        num_runs=cost.trials * len(base.seeds),
        num_reused=cost.trials * len(base.seeds) - cost.runs_left,
        num_left=cost.runs_left,
        flops=cost.flops,
        gpu_hours=hours if resources.num_gpus else None,
        num_bytes=cost.disk_bytes,
        cost=f"a search, figures at most: {' '.join(base.profile.cost.split())}",
        assumption=assumption,
    )
    return row, _missing(base, asked, store)


def _missing(base: StudyPlan, asked: Asked, store: Store) -> list[str]:
    # it imports torch, and what is wrong with the study should not wait for that
    from vtbench.study.check import problems

    return [*point_problems(base), *problems(base, store.cache_dir, asked.overrides, devices=asked.devices)]


def _search_lines(plan: StudyPlan, search: SearchConfig) -> list[str]:
    objectives = ", ".join(f"{objective_label(plan, one)} ({one.direction})" for one in search.objectives)
    pruner = search.pruner
    sampler = f"sampler: {search.sampler.name}, seed {search.sampler.seed}, {search.parallel} trials at once"
    if pruner.name != "none":
        steps = pruner.steps(next(iter(plan.runs.values())).config.train.steps)
        sampler += f"; {pruner.name} pruner looks at {pruner.value} after {', '.join(map(str, steps))} steps"
    return [f"objectives: {objectives}", sampler]


def _cost_lines(plan: StudyPlan, cost: SearchCost) -> list[str]:
    corner = ", ".join(f"{path}={canonical_json(value)}" for path, value in (cost.corner or {}).items())
    jobs = f"trials: {cost.trials}, {cost.told} of them told; at most {cost.runs_left} runs to make"
    lines = [
        jobs,
        f"costliest corner: {corner}" if corner else "what is searched changes no trial's cost",
        f"FLOPs: at most {count(cost.flops)} of training (forward and backward, 2 x multiply-accumulate)",
    ]
    said = " ".join(plan.profile.cost.split())
    hours, resources = cost.device_hours(plan), plan.profile.resources
    if hours is None:
        lines.append(f"time: {said} (said by the study for all of its trials)")
    else:
        unit = "GPU-hours" if resources.num_gpus else "device-hours"
        each = f"{count(resources.peak_flops or 0.0)}FLOP/s peak at {resources.utilisation:.0%} utilisation"
        serial = duration(hours * 3600 / max(resources.num_gpus, 1))
        lines.append(
            f"time: at most {serial} one run after another, {hours:.1f} {unit}, at {each}. The study says: {said}"
        )
    lines.append(f"disk: at most about {count(cost.disk_bytes)}B of checkpoints and measured rows")
    return lines


def _range(parameter: SearchParameter) -> str:
    if parameter.choices is not None:
        return ", ".join(map(canonical_json, parameter.choices))
    ends = f"{parameter.ends[0]:g} to {parameter.ends[-1]:g}"
    more = [*(["log"] if parameter.log else []), *(["whole"] if parameter.type == "int" else [])]
    more += [f"step {parameter.step:g}"] if parameter.step is not None else []
    more += [f"{parameter.num_points} points"] if parameter.num_points is not None else []
    return f"{ends} ({', '.join(more)})" if more else ends
