"""`run`: train what is missing, measure it, write the report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from vtbench.cli.arguments import (
    DEFAULT_PROFILE,
    ProfileOption,
    RootOption,
    SeedsOption,
    SetOption,
    StudyArgument,
    open_store,
    parse_overrides,
    report_folder,
)
from vtbench.cli.cost_study import is_cost_study, refuse, run_cost_study
from vtbench.cli.output import say
from vtbench.cli.progress import display
from vtbench.cli.protocol_study import is_protocol_study, run_protocol_study
from vtbench.errors import RunsFailedError
from vtbench.launch.local import run_plan
from vtbench.launch.reuse import is_done
from vtbench.schema.study import Study, StudyPlan
from vtbench.store.layout import Store
from vtbench.store.query import load_record, save_plan
from vtbench.study.baselines import load_baseline
from vtbench.study.expand import expand
from vtbench.study.load import find_study, load_study


def run(
    study: StudyArgument,
    profile: ProfileOption = DEFAULT_PROFILE,
    seeds: SeedsOption = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="Train or count again what is done already.")] = False,
    jobs: Annotated[
        int | None,
        typer.Option(
            "--jobs", "-j", min=1, metavar="N", help="Most runs at once. [default: what fits]", show_default=False
        ),
    ] = None,
    root: RootOption = None,
    report_dir: Annotated[
        Path | None,
        typer.Option(
            "--report-dir", metavar="DIR", help="Where the report goes. [default: reports/STUDY]", show_default=False
        ),
    ] = None,
    set_: SetOption = None,
) -> None:
    """Train and measure the arms of a study, or count what they cost, then write its report.

    What is done already is not done again: the same command goes on after an interruption, and prints the report at
    once when nothing is missing. Everything is checked before anything trains.

    Example: `python -m vtbench run studies/pos_embed.yaml --seeds 3`
    """
    store = open_store(root)
    path = find_study(study)
    if is_cost_study(path):
        refuse(path, profile=profile != DEFAULT_PROFILE, seeds=seeds, jobs=jobs, set=set_)
        run_cost_study(path, store, report_dir, fresh=fresh)
        return
    if is_protocol_study(path, profile=profile != DEFAULT_PROFILE, seeds=seeds, jobs=jobs, set=set_, fresh=fresh):
        run_protocol_study(path, store, report_dir)
        return
    overrides = parse_overrides(set_)
    plan = checked_plan(load_study(path), profile, seeds, overrides, store)
    save_plan(store, plan)
    _announce(store, plan, fresh)
    failure = None
    try:
        with display(plan) as show:
            run_plan(store, plan, store.plan_path(plan.id), fresh=fresh, jobs=jobs, on_event=show)
    except RunsFailedError as error:
        failure = error
    except KeyboardInterrupt:
        again = "the same command without --fresh" if fresh else "the same command"
        typer.echo(f"\nInterrupted. What is done is kept; resume with {again}.", err=True)
        raise
    _report(store, plan, report_dir)
    if failure is not None:
        raise failure


def checked_plan(
    study: Study, profile: str, seeds: int | None, overrides: Mapping[str, Any], store: Store
) -> StudyPlan:
    """Return the plan with its facts, after all that can be checked beforehand."""
    plan = expand(study, profile, seeds, overrides)
    # these import scipy and torch, and what is wrong above should not wait for that
    from vtbench.study.check import check_plan
    from vtbench.study.fairness import facts

    for name in study.published:
        load_baseline(name)

    check_plan(plan, store.cache_dir, overrides)
    return plan.model_copy(update={"facts": facts(plan)})


def _announce(store: Store, plan: StudyPlan, fresh: bool) -> None:
    say(f"{plan.study.name}: {' '.join(plan.study.question.split())}")
    reused = 0 if fresh else sum(is_done(plan, load_record(store, run_id)) for run_id in plan.runs)
    runs = f"{len(plan.runs)} run{'s' if len(plan.runs) > 1 else ''}"
    say(f"profile {plan.profile.name}, {runs} for {len(plan.cells)} cells, {reused} of them done already")
    if reused < len(plan.runs):
        say(f"expected cost: {' '.join(plan.profile.cost.split())}")


def _report(store: Store, plan: StudyPlan, report_dir: Path | None) -> None:
    # matplotlib comes with it, and takes a second
    from vtbench.report.render import render_study

    path = render_study(store, plan.id, report_dir if report_dir is not None else report_folder(plan.id))
    say(f"report: {path}")
