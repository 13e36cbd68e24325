"""What `run` does once it has a plan: here or on a cluster, watched or left alone."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from dataclasses import dataclass

import typer

from vtbench.cli.output import say
from vtbench.cli.progress import display
from vtbench.launch.cluster_file import LOCAL, load_cluster
from vtbench.launch.local import run_plan
from vtbench.launch.reuse import Retry, done_runs
from vtbench.schema.base import canonical_json
from vtbench.schema.study import StudyPlan
from vtbench.store.files import write_atomic
from vtbench.store.layout import Store
from vtbench.store.query import dump


@dataclass(frozen=True, kw_only=True)
class Launch:
    """How the runs of a plan are to be made.

    Attributes:
        cluster: `local`, or the name of a cluster.
        fresh: train again what is done.
        jobs: most runs at once.
        retry: which of the runs that are not done.
        detach: leave them alone once they are started or submitted.
    """

    cluster: str = LOCAL
    fresh: bool = False
    jobs: int | None = None
    retry: Retry = "all"
    detach: bool = False


def launch(store: Store, plan: StudyPlan, how: Launch, unwanted: Callable[[str], bool] | None = None) -> bool:
    """Make the runs of a plan, those of other studies that they need first; return whether all have been waited for.

    Args:
        store: where runs lie.
        plan: the plan, or a part of the one that the store holds.
        how: here or on a cluster.
        unwanted: says of a run that goes on whether it is to be stopped.

    Raises:
        RunsFailedError: some failed. If one fails that others need, none of those is begun.
        LaunchError: the cluster refused, or does not answer.
        KeyboardInterrupt: asked to stop; on a cluster the jobs go on.
    """
    if how.cluster != LOCAL:
        return _on_cluster(store, plan, how, unwanted)
    if how.detach:
        _in_background(store, plan, how)
        return False
    try:
        _make_needed(store, plan, how)
        with display(plan) as show:
            path = store.plan_path(plan.id)
            run_plan(
                store,
                plan,
                path,
                fresh=how.fresh,
                jobs=how.jobs,
                retry=how.retry,
                on_event=show,
                on_wait=say,
                unwanted=unwanted,
            )
    except KeyboardInterrupt:
        again = "the same command without --fresh" if how.fresh else "the same command"
        typer.echo(f"\nInterrupted. What is done is kept; resume with {again}.", err=True)
        raise
    return True


def unmet(store: Store, plan: StudyPlan) -> list[StudyPlan]:
    """Return the parts of other studies' plans that a plan needs and that are not done, in the order to make them."""
    found = []
    for part in plan.needs:
        found += unmet(store, part)
        if done_runs(store, part) != part.runs.keys():
            found.append(part)
    return found


def _make_needed(store: Store, plan: StudyPlan, how: Launch) -> None:
    """Make the runs of other studies that a plan needs, as their own plans would; what is done stays."""
    for number, part in enumerate(unmet(store, plan)):
        say(f"first, as {plan.study.name} needs them: {len(part.runs)} of the runs of {part.id}")
        # beside the plan that needs it: the other study's own plan in the store stays what it is
        path = store.plan_path(plan.id).with_name(f"needs-{number}.json")
        write_atomic(path, dump(part))
        with display(part) as show:
            run_plan(store, part, path, jobs=how.jobs, on_event=show, on_wait=say)


def _on_cluster(store: Store, plan: StudyPlan, how: Launch, unwanted: Callable[[str], bool] | None) -> bool:
    # submitit takes a third of a second, which local runs need not wait for
    from vtbench.launch.cluster import submit_plan
    from vtbench.launch.watch import watch_plan

    config = plan.profile.resources.cluster.over(load_cluster(how.cluster))
    try:
        for part in unmet(store, plan):
            say(f"first, as {plan.study.name} waits for them: {len(part.runs)} of the runs of {part.id}")
            theirs = part.profile.resources.cluster.over(load_cluster(how.cluster))
            with display(part) as show:
                submit_plan(store, part, theirs, name=how.cluster, parallel=how.jobs, on_event=show)
        with display(plan) as show:
            run_ids = submit_plan(
                store,
                plan,
                config,
                name=how.cluster,
                fresh=how.fresh,
                retry=how.retry,
                parallel=how.jobs,
                on_event=show,
            )
            if not how.detach:
                watch_plan(store, plan, run_ids, poll_seconds=config.poll_seconds, on_event=show, unwanted=unwanted)
    except KeyboardInterrupt:
        typer.echo(
            f"\nNo longer watched. Jobs that are submitted go on: the same command joins them, `python -m vtbench"
            f" cancel {plan.id}` ends them.",
            err=True,
        )
        raise
    if how.detach and run_ids:
        say(f"{len(run_ids)} runs are on their way; the same command without --detach joins them and reports.")
        return False
    return True


def _in_background(store: Store, plan: StudyPlan, how: Launch) -> None:
    """Start a process that does the same, watches it, and outlives the terminal."""
    log = store.plan_path(plan.id).with_name("run.log")
    command = [sys.executable, "-m", "vtbench", "run", plan.study.path, "--profile", plan.profile.name]
    command += ["--root", str(store.root), "--retry", how.retry, *(["--fresh"] if how.fresh else [])]
    command += ["--jobs", str(how.jobs)] if how.jobs is not None else []
    command += [part for path, value in plan.overrides.items() for part in ("--set", f"{path}={canonical_json(value)}")]
    command += ["--seeds", str(len(plan.seeds))] if plan.seeds == tuple(range(len(plan.seeds))) else []
    actions = [
        (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
        (os.POSIX_SPAWN_OPEN, 1, str(log), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644),
        (os.POSIX_SPAWN_DUP2, 1, 2),
    ]
    pid = os.posix_spawn(sys.executable, command, os.environ, file_actions=actions, setsid=True)
    say(f"started in the background as process {pid}; it prints to {log}")
    say(f"`python -m vtbench status {plan.id}` looks at it, `python -m vtbench cancel {plan.id}` ends it")
