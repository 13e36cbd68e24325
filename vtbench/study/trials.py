"""The trials of a search as a plan, and what their records say of its objectives.

Each trial is an arm of its own, so that a plan of trials is an ordinary plan: its runs have ordinary ids, and
launching, status and logs need to know nothing of searches.
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

from vtbench.errors import StudyError, suggest
from vtbench.evaluate import METRICS
from vtbench.schema.base import content_hash
from vtbench.schema.record import RunRecord
from vtbench.schema.search import FIRST, LAST, Objective, Trial
from vtbench.schema.study import Arm, Study, StudyPlan
from vtbench.store.query import wanted
from vtbench.study.expand import expand
from vtbench.study.search import COUNTED, corners


def trial_plan(
    study: Study, profile: str, seeds: int | None, overrides: Mapping[str, Any], trials: Sequence[Trial]
) -> StudyPlan:
    """Return the plan that answers some trials, each an arm; `facts` are left empty.

    Raises:
        StudyError: a trial makes no valid config, or `overrides` sets what the search chooses.
    """
    assert study.search is not None
    if both := [path for path in overrides if path in study.search.space]:
        raise StudyError(f"--set {both[0]}: the search chooses this value; take it out of search.space to fix it.")
    arms = tuple(Arm(name=trial.name, title=trial_title(trial), set=trial.values) for trial in trials)
    study = study.model_copy(update={"arms": arms, "reference_arm": arms[0].name})
    return expand(study, profile, seeds, overrides)


def trial_title(trial: Trial) -> str:
    """Return how reports call a trial."""
    return f"Trial {trial.number}"


def objective_point(plan: StudyPlan, objective: Objective) -> tuple[str, int | None]:
    """Return resolution and number of tokens where an objective is measured in a plan."""
    evaluate = plan.evaluate
    index = {FIRST: 0, LAST: -1}.get(objective.at)
    resolution = objective.at if index is None else evaluate.resolutions[index]
    return resolution, objective.num_tokens or evaluate.num_tokens[0]


def objective_label(plan: StudyPlan, objective: Objective) -> str:
    """Return `psnr@48x48`, with `, L=16` where the plan measures several lengths."""
    resolution, num_tokens = objective_point(plan, objective)
    return f"{objective.metric}@{resolution}{f', L={num_tokens}' if num_tokens is not None else ''}"


def objective_value(plan: StudyPlan, objective: Objective, record: RunRecord) -> float | None:
    """Return what a record says of an objective; None if it does not."""
    point = objective_point(plan, objective)
    for value in wanted(plan, record.metrics):
        at = value.params.get("resolution"), value.params.get("num_tokens")
        if value.name == objective.metric and (at == point or "resolution" not in value.params):
            return value.value
    return None


def point_problems(plan: StudyPlan) -> list[str]:
    """Return objectives whose point or metric the plan's profile does not measure, a line each."""
    assert plan.study.search is not None
    lines = []
    for number, objective in enumerate(plan.study.search.objectives):
        resolution, num_tokens = objective_point(plan, objective)
        place = f"{plan.study.path}: search.objectives[{number}]"
        profile = f"profile {plan.profile.name}"
        if resolution not in plan.evaluate.resolutions:
            near = suggest(resolution, [FIRST, LAST, *plan.evaluate.resolutions])
            lines.append(f"{place}.at: {profile} does not measure at {resolution}.{near}")
        if num_tokens not in plan.evaluate.num_tokens:
            lines.append(f"{place}.num_tokens: {profile} does not measure {num_tokens} tokens.")
        if objective.metric not in (*plan.metrics, *COUNTED):
            near = suggest(objective.metric, [*plan.metrics, *COUNTED])
            lines.append(f"{place}.metric: {profile} does not measure '{objective.metric}'.{near}")
    pruner, train = plan.study.search.pruner, next(iter(plan.runs.values())).config.train
    gaps = [step - before for before, step in itertools.pairwise((0, *pruner.steps(train.steps)))]
    if pruner.name != "none" and min(gaps) < train.log_every:
        lines.append(
            f"{plan.study.path}: search.pruner.shares: {profile} logs every {train.log_every} steps, and the pruner"
            f" looks after {min(gaps)}, at nothing new; set train.log_every to at most that."
        )
    return lines


def corner_plan(study: Study, profile: str, seeds: int | None, overrides: Mapping[str, Any]) -> StudyPlan:
    """Return a plan whose arms are the search's `corners`, those that make valid configs.

    Raises:
        StudyError: none does: something that all trials set cannot be set so.
    """
    assert study.search is not None
    valid, problems = [], []
    for index, values in enumerate(corners(study.search)):
        trial = Trial(number=index, batch=0, values=values)
        try:
            trial_plan(study, profile, seeds, overrides, [trial])
        except StudyError as error:
            problems.append(str(error))
        else:
            valid.append(trial)
    if not valid:
        raise StudyError(f"{study.path}: search.space: no end of any parameter can be trained.\n{problems[0]}")
    return trial_plan(study, profile, seeds, overrides, valid)


def fingerprint(base: StudyPlan) -> str:
    """Return what stands for all that decides what is asked and told, but for the number of trials.

    Args:
        base: the study with its implicit arm, expanded.
    """
    assert base.study.search is not None
    search = base.study.search.model_dump(mode="json", exclude={"trials"})
    evaluate = base.evaluate.model_dump(mode="json", include={"resolutions", "num_tokens", "num_samples"})
    versions = {name: METRICS.load(name).version for name in base.metrics}
    return content_hash([search, evaluate, versions, [cell.run_id for cell in base.cells]])
