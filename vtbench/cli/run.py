"""`run`: train what is missing, measure it, write the report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vtbench.cli.arguments import (
    DEFAULT_PROFILE,
    ClusterOption,
    ProfileOption,
    RootOption,
    SeedsOption,
    SetOption,
    StudiesArgument,
    open_store,
    parse_overrides,
)
from vtbench.cli.cost_study import is_cost_study, refuse, run_cost_study
from vtbench.cli.launching import Launch
from vtbench.cli.planning import Asked, checked_plan, with_profile
from vtbench.cli.protocol_study import is_protocol_study, run_protocol_study
from vtbench.cli.search import is_search_study, run_search_study
from vtbench.cli.studies import announce, make, run_studies
from vtbench.launch.cluster_file import LOCAL, load_cluster
from vtbench.launch.reuse import Retry
from vtbench.store.query import save_plan
from vtbench.study.load import find_study


def run(
    studies: StudiesArgument,
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
    """Train and measure the arms of studies, or count what they cost, then write their reports.

    What is done already is not done again: the same command goes on after an interruption, and prints the report at
    once when nothing is missing. Everything is checked before anything trains. Of several studies each gets its report
    (with `--report-dir`, a folder in there); one that fails does not keep the others from running, and one that lacks
    the profile is left out.

    Example: `python -m vtbench run studies/pos_embed.yaml --seeds 3`
    """
    store = open_store(root)
    paths, away = [find_study(study) for study in dict.fromkeys(studies)], cluster != LOCAL
    asked = Asked(profile=profile, seeds=seeds, overrides=parse_overrides(set_), devices=not away)
    how = Launch(cluster=cluster, fresh=fresh, jobs=jobs, retry=retry, detach=detach)
    if away:
        load_cluster(cluster)
    if len(paths) > 1:
        run_studies(with_profile(paths, profile), asked, store, how, report_dir)
        return
    (path,) = paths
    given = {"profile": profile != DEFAULT_PROFILE, "seeds": seeds, "jobs": jobs, "set": set_}
    if is_cost_study(path):
        refuse(path, **given, cluster=away, detach=detach)
        run_cost_study(path, store, report_dir, fresh=fresh)
    elif is_protocol_study(path, **given, fresh=fresh, cluster=away, detach=detach):
        run_protocol_study(path, store, report_dir)
    elif is_search_study(path):
        run_search_study(path, asked, store, how, report_dir)
    else:
        plan = checked_plan(path, asked, store)
        save_plan(store, plan)
        announce(store, plan, fresh)
        make(store, plan, how, report_dir)
