"""What `run` does with plans: of one study, or of several, whose shared runs are made once."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

from vtbench.cli.arguments import report_folder
from vtbench.cli.cost_study import run_cost_study
from vtbench.cli.launching import Launch, launch
from vtbench.cli.output import say
from vtbench.cli.plan_summary import StudyRow, other_row, show_rows, training_rows
from vtbench.cli.planning import Asked, Failures, checked_plan
from vtbench.cli.protocol_study import run_protocol_study
from vtbench.cli.search import checked_search, is_search_study, run_search_study
from vtbench.cli.search_plan import search_row
from vtbench.errors import RunsFailedError, StudyError
from vtbench.launch.cluster_file import LOCAL
from vtbench.launch.reuse import done_runs
from vtbench.schema.study import StudyPlan
from vtbench.store.layout import Store
from vtbench.store.query import save_plan
from vtbench.study.cost_study import load_cost_study
from vtbench.study.load import COST, TRAINING, study_kind
from vtbench.study.protocol_study import load_protocol_study


def run_studies(paths: Iterable[Path], asked: Asked, store: Store, how: Launch, report_dir: Path | None) -> None:
    """Run several studies and write the report of each; one that fails does not keep the others from running.

    All are checked before anything trains. Runs that several have in common are made by the first of them. On a
    cluster all are submitted before any is waited for.

    Args:
        paths: their files.
        asked: what to run of those whose arms train; the others count or measure what stands in their file.
        store: where runs lie.
        how: how runs are to be made.
        report_dir: folder for a folder of each study; None: the usual one.

    Raises:
        StudyError: they are to be left alone on this machine.
        typer.Exit: some failed; they have been named.
    """
    if how.fresh:
        raise StudyError("--fresh takes one study at a time: runs that several share would be trained again for each.")
    if how.detach and how.cluster == LOCAL:
        raise StudyError("--detach of several studies needs a cluster; here start them one by one, or with `nohup`.")
    failures = Failures()
    plans, others = _checked(paths, asked, store, failures)
    # last, as they may find runs of the others done
    searches = [path for path in others if is_search_study(path)]
    if how.cluster != LOCAL:
        for path, plan in plans.items():
            with failures.of(path):
                launch(store, plan, replace(how, detach=True))
    if not how.detach:
        for path in (path for path in others if path not in searches):
            with failures.of(path):
                _run_other(path, store, report_dir)
        for path, plan in plans.items():
            if path in failures:
                continue  # its jobs could not be submitted
            with failures.of(path):
                announce(store, plan, fresh=False)
                make(store, plan, how, None if report_dir is None else report_dir / report_folder(plan.id).name)
    for path in searches:
        with failures.of(path):
            run_search_study(path, asked, store, how, report_dir, several=True)
    failures.end()


def announce(store: Store, plan: StudyPlan, fresh: bool) -> None:
    """Say what a study asks, how much of it is done and what the rest is expected to cost."""
    say(f"{plan.study.name}: {' '.join(plan.study.question.split())}")
    reused = 0 if fresh else len(done_runs(store, plan))
    runs = f"{len(plan.runs)} run{'s' if len(plan.runs) > 1 else ''}"
    say(f"profile {plan.profile.name}, {runs} for {len(plan.cells)} cells, {reused} of them done already")
    if reused < len(plan.runs):
        say(f"expected cost: {' '.join(plan.profile.cost.split())}")


def make(store: Store, plan: StudyPlan, how: Launch, report_dir: Path | None) -> None:
    """Make the runs of a plan and write its report, also if some of them failed.

    Raises:
        RunsFailedError: some failed.
        LaunchError: the cluster refused, or does not answer.
    """
    failure = None
    try:
        ended = launch(store, plan, how)
    except RunsFailedError as error:
        failure, ended = error, True
    if ended:
        # matplotlib comes with it, and takes a second
        from vtbench.report.render import render_study

        path = render_study(store, plan.id, report_dir if report_dir is not None else report_folder(plan.id))
        say(f"report: {path}")
    if failure is not None:
        raise failure


def _checked(
    paths: Iterable[Path], asked: Asked, store: Store, failures: Failures
) -> tuple[dict[Path, StudyPlan], list[Path]]:
    """Return the plans of studies that train, stored, and the files of the others; print what all will cost."""
    plans: dict[Path, StudyPlan] = {}
    others: dict[Path, StudyRow] = {}
    for path in paths:
        with failures.of(path):
            if study_kind(path) == TRAINING:
                plan = checked_plan(path, asked, store)
                save_plan(store, plan)
                plans[path] = plan
            elif is_search_study(path):
                checked_search(path, asked, store)
                others[path], _ = search_row(path, asked, store)
            else:
                others[path] = other_row(path, store)
    show_rows(
        f"{len(others) + len(plans)} studies at the profile {asked.profile}",
        [*others.values(), *training_rows(plans.values(), store)],
    )
    return plans, list(others)


def _run_other(path: Path, store: Store, report_dir: Path | None) -> None:
    """Run a study that trains nothing."""
    if study_kind(path) == COST:
        run_cost_study(
            path, store, None if report_dir is None else report_dir / load_cost_study(path).name, fresh=False
        )
    else:
        folder = None if report_dir is None else report_dir / load_protocol_study(path).name
        run_protocol_study(path, store, folder)
