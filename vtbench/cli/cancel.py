"""`cancel`: end what is under way for a study; what was reached is kept."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Iterable
from pathlib import Path
from typing import Annotated

import typer

from vtbench.cli.arguments import RootOption, matching_plans, open_store
from vtbench.cli.output import say
from vtbench.errors import StoreError, suggest
from vtbench.launch import slurm_command
from vtbench.launch.local import controller_lock
from vtbench.launch.state import job_states
from vtbench.schema.study import StudyPlan
from vtbench.store.layout import Store
from vtbench.store.lock import live_holder
from vtbench.store.query import load_plan


def cancel(
    study: Annotated[
        str, typer.Argument(metavar="STUDY", help="A study's file or name, or STUDY@PROFILE.", show_default=False)
    ],
    runs: Annotated[
        list[str] | None,
        typer.Argument(metavar="[RUN]...", help="Beginnings of run ids; all if left out.", show_default=False),
    ] = None,
    root: RootOption = None,
) -> None:
    """End the jobs of a study and the processes that make its runs here; they save first.

    What was reached is kept: `run` goes on from there.

    Example: `python -m vtbench cancel pos_embed@paper`
    """
    store = open_store(root)
    for plan_id in matching_plans(store, study):
        plan = load_plan(store, plan_id)
        chosen = _chosen(plan, runs)
        num_jobs = _cancel_jobs(store, chosen)
        num_processes = _stop_processes(store, plan, chosen, whole=not runs)
        if num_jobs or num_processes:
            say(f"{plan_id}: {num_jobs} jobs cancelled, {num_processes} processes asked to save and end")
        else:
            say(f"{plan_id}: nothing is under way")


def _chosen(plan: StudyPlan, beginnings: Iterable[str] | None) -> list[str]:
    """Return the runs whose ids begin so, all if nothing is said."""
    if not beginnings:
        return list(plan.runs)
    found: dict[str, None] = {}
    for beginning in beginnings:
        matching = [run_id for run_id in plan.runs if run_id.startswith(beginning)]
        if not matching:
            raise StoreError(f"{plan.id} has no run '{beginning}'.{suggest(beginning, plan.runs)}")
        found.update(dict.fromkeys(matching))
    return list(found)


def _cancel_jobs(store: Store, run_ids: list[str]) -> int:
    """Cancel the jobs of runs that wait or run, and return how many there were."""
    if not store.jobs_dir.exists():
        return 0
    # submitit takes a third of a second, which the other verbs need not wait for
    from vtbench.launch.cluster import recover, submission_lock

    with submission_lock(store):
        recover(store)
        active = [state for state in job_states(store, run_ids).values() if state.active]
        slurm_command.cancel(state.job_id for state in active if state.job_id is not None)
    return len(active)


def _stop_processes(store: Store, plan: StudyPlan, run_ids: list[str], whole: bool) -> int:
    """Ask this machine's controller of the plan to stop, or single workers; return how many were asked."""
    paths = [controller_lock(store, plan.id)] if whole else []
    paths += [store.lock_path(run_id) for run_id in run_ids] if not whole else []
    return sum(_stop(path) for path in paths)


def _stop(lock: Path) -> bool:
    holder = live_holder(lock)
    if holder is None:
        return False
    if holder.host != socket.gethostname():
        say(f"process {holder.pid} on {holder.host} cannot be reached from here; call `cancel` there")
        return False
    os.kill(holder.pid, signal.SIGTERM)
    return True
