"""`run`: train what is missing, measure it, write the report."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

import typer

from vtbench.cli.arguments import (
    DEFAULT_PROFILE,
    ClusterOption,
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
from vtbench.cli.launching import Launch, launch
from vtbench.cli.output import say
from vtbench.cli.protocol_study import is_protocol_study, run_protocol_study
from vtbench.cli.search import run_search_study
from vtbench.errors import RunsFailedError
from vtbench.launch.cluster_file import LOCAL, load_cluster
from vtbench.launch.reuse import Retry, is_done
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
    cluster: ClusterOption = LOCAL,
    detach: Annotated[
        bool, typer.Option("--detach", help="Start or submit, and return; the same command joins and reports.")
    ] = False,
    retry: Annotated[
        Retry, typer.Option("--retry", help="Of what is not done: all of it, only what failed, or only the rest.")
    ] = "all",
) -> None:
    """Train and measure the arms of a study, or count what they cost, then write its report.

    What is done already is not done again: the same command goes on after an interruption, and prints the report at
    once when nothing is missing. Everything is checked before anything trains.

    Example: `python -m vtbench run studies/pos_embed.yaml --seeds 3`
    """
    store = open_store(root)
    path, away = find_study(study), cluster != LOCAL
    if is_cost_study(path):
        refuse(path, profile=profile != DEFAULT_PROFILE, seeds=seeds, jobs=jobs, set=set_, cluster=away, detach=detach)
        run_cost_study(path, store, report_dir, fresh=fresh)
        return
    given = {"profile": profile != DEFAULT_PROFILE, "seeds": seeds, "jobs": jobs, "set": set_, "fresh": fresh}
    if is_protocol_study(path, **given, cluster=away, detach=detach):
        run_protocol_study(path, store, report_dir)
        return
    overrides = parse_overrides(set_)
    if away:
        load_cluster(cluster)
    how = Launch(cluster=cluster, fresh=fresh, jobs=jobs, retry=retry, detach=detach)
    loaded = load_study(path)
    if loaded.search is not None:
        run_search_study(loaded, profile, seeds, overrides, store, how, report_dir)
        return
    plan = checked_plan(loaded, profile, seeds, overrides, store, devices=not away)
    save_plan(store, plan)
    _announce(store, plan, fresh)
    failure = None
    try:
        ended = launch(store, plan, how)
    except RunsFailedError as error:
        failure, ended = error, True
    if ended:
        _report(store, plan, report_dir)
    if failure is not None:
        raise failure


def checked_plan(
    study: Study,
    profile: str,
    seeds: int | None,
    overrides: Mapping[str, Any],
    store: Store,
    devices: bool = True,
) -> StudyPlan:
    """Return the plan with its facts, after all that can be checked beforehand; `devices`: also those of here."""
    plan = expand(study, profile, seeds, overrides)
    # these import scipy and torch, and what is wrong above should not wait for that
    from vtbench.study.check import check_plan
    from vtbench.study.fairness import facts

    for name in study.published:
        load_baseline(name)

    check_plan(plan, store.cache_dir, overrides, devices)
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
