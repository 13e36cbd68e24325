"""What `run`, `status` and `report` do with a study that searches."""

from __future__ import annotations

from pathlib import Path

from vtbench.cli.arguments import report_folder
from vtbench.cli.launching import Launch, launch
from vtbench.cli.output import say
from vtbench.cli.planning import Asked
from vtbench.errors import RunsFailedError, StudyError
from vtbench.launch.cluster_file import LOCAL
from vtbench.schema.base import canonical_json
from vtbench.schema.search import SearchConfig, SearchLedger, Trial
from vtbench.schema.study import StudyPlan
from vtbench.store.layout import Store
from vtbench.store.query import load_plan
from vtbench.store.search import ledger_path, load_ledger
from vtbench.study.expand import expand
from vtbench.study.load import load_study, study_kind
from vtbench.study.problems import join
from vtbench.study.search import SEARCH, num_trials
from vtbench.study.trials import corner_plan, fingerprint, objective_label, point_problems


def is_search_study(path: Path) -> bool:
    """Return whether a study file searches; raises a `StudyError` if it cannot be read."""
    return study_kind(path) == SEARCH


def checked_search(path: Path, asked: Asked, store: Store) -> StudyPlan:
    """Return the plan of a search's implicit arm, after all that can be checked beforehand.

    Raises:
        VtbenchError: something is wrong; says all of it.
    """
    study = load_study(path)
    base = expand(study, asked.profile, asked.seeds, asked.overrides)
    if lines := point_problems(base):
        raise join(lines)
    corner_plan(study, asked.profile, asked.seeds, asked.overrides)
    # it imports torch, and what is wrong above should not wait for that
    from vtbench.study.check import check_plan

    check_plan(base, store.cache_dir, asked.overrides, asked.devices)
    return base


def run_search_study(
    path: Path, asked: Asked, store: Store, how: Launch, report_dir: Path | None, several: bool = False
) -> None:
    """Make the trials of a search that are missing, then write its report.

    Args:
        path: the study's file.
        asked: at which scale.
        store: where runs lie.
        how: how runs are to be made.
        report_dir: the report's folder; None: the usual one.
        several: `report_dir` is a folder for the folders of several studies.

    Raises:
        StudyError: something is wrong with the search, or it is to go on without its controller.
        RunsFailedError: a run failed for a reason that is not its values' own; the report is written all the same.
    """
    if how.detach and how.cluster != LOCAL:
        raise StudyError(
            f"{path}: --detach: a search asks for new trials as others end, so it cannot leave a cluster alone; without"
            " --detach the command can be stopped at any time, and goes on."
        )
    base = checked_search(path, asked, store)
    if several and report_dir is not None:
        report_dir = report_dir / report_folder(base.id).name
    # Optuna and torch come with these, and wrong arguments should not wait for them
    from vtbench.launch.search import SearchRequest, Unwanted, run_search
    from vtbench.study.check import problems

    overrides = asked.overrides
    request = SearchRequest(study=load_study(path), profile=asked.profile, seeds=asked.seeds, overrides=overrides)
    _announce(store, base, how.fresh)
    if how.detach:
        launch(store, base, how)
        return

    def make(plan: StudyPlan, unwanted: Unwanted) -> None:
        launch(store, plan, how, unwanted)

    def problem(plan: StudyPlan) -> str | None:
        return "\n".join(problems(plan, store.cache_dir, overrides, False)) or None

    failure = None
    try:
        run_search(
            store,
            request,
            make,
            problem=problem,
            fresh=how.fresh,
            retry=how.retry,
            on_told=lambda trial: say(f"{trial.name}: {outcome(base, trial)}"),
            on_wait=say,
        )
    except RunsFailedError as error:
        failure = error
    if ledger_path(store, base.id).exists() and store.plan_path(base.id).exists():
        write_search_report(store, base.id, report_dir)
    if failure is not None:
        raise failure


def outcome(plan: StudyPlan, trial: Trial) -> str:
    """Return what came of a trial, in words: its values and objectives."""
    values = ", ".join(f"{path.rpartition('.')[2]}={canonical_json(value)}" for path, value in trial.values.items())
    if trial.state == "failed":
        return f"{values}: failed ({' '.join((trial.cause or '').split())})"
    if trial.state == "pruned":
        return f"{values}: pruned at step {trial.reported[-1][0]}, {trial.reported[-1][1]:.4g}"
    assert plan.study.search is not None
    pairs = zip(plan.study.search.objectives, trial.objectives, strict=True)
    return f"{values}: {', '.join(f'{objective_label(plan, one)} {value:.4g}' for one, value in pairs)}"


def search_line(store: Store, plan_id: str) -> str | None:
    """Return how far a plan's search is and its best trial, in one line; None if the plan is no search's."""
    ledger = load_ledger(store, plan_id)
    if ledger is None:
        return None
    plan = load_plan(store, plan_id)
    search = plan.study.search
    assert search is not None
    states = {state: sum(trial.state == state for trial in ledger.trials) for state in ("pruned", "failed", "asked")}
    parts = [f"{len(ledger.told)} of {num_trials(search, plan.profile.name)} trials told"]
    parts += [f"{number} {word}" for word, number in states.items() if number]
    if (best := best_trial(search, ledger)) is not None:
        parts.append(f"best {objective_label(plan, search.objectives[0])} {best.objectives[0]:.4g} ({best.name})")
    return f"search: {', '.join(parts)}"


def best_trial(search: SearchConfig, ledger: SearchLedger) -> Trial | None:
    """Return the trial that is best in the first objective; None before one is done."""
    done = [trial for trial in ledger.trials if trial.state == "done"]
    sign = 1.0 if search.objectives[0].direction == "min" else -1.0
    return min(done, key=lambda trial: sign * trial.objectives[0], default=None)


def write_search_report(store: Store, plan_id: str, report_dir: Path | None) -> None:
    """Write the report of what a search has told so far."""
    # matplotlib comes with it, and takes a second
    from vtbench.report.search import render_search

    path = render_search(store, plan_id, report_dir if report_dir is not None else report_folder(plan_id))
    say(f"report: {path}")


def _announce(store: Store, base: StudyPlan, fresh: bool) -> None:
    search = base.study.search
    assert search is not None
    say(f"{base.study.name}: {' '.join(base.study.question.split())}")
    ledger = None if fresh else load_ledger(store, base.id)
    told = len(ledger.told) if ledger is not None and ledger.fingerprint == fingerprint(base) else 0
    trials = num_trials(search, base.profile.name)
    say(f"profile {base.profile.name}, {trials} trials of {len(base.seeds)} runs each, {told} of them told already")
    if told < trials:
        say(f"expected cost: {' '.join(base.profile.cost.split())}")
