"""`status`: how far the runs in a store are."""

from __future__ import annotations

import time
from typing import Annotated

import typer

from vtbench.cli.arguments import RootOption, matching_plans, open_store, plan_ids
from vtbench.cli.output import duration, say, show_table
from vtbench.schema.record import RunRecord
from vtbench.schema.study import StudyPlan
from vtbench.store.layout import Store
from vtbench.store.lock import live_holder
from vtbench.store.query import load_plan, load_progress, load_record


def status(
    study: Annotated[
        str | None,
        typer.Argument(
            metavar="[STUDY]", help="A study's file or name, or STUDY@PROFILE; all if left out.", show_default=False
        ),
    ] = None,
    root: RootOption = None,
) -> None:
    """Show the state, stage, step and age of each run.

    Example: `python -m vtbench status pos_embed`
    """
    store = open_store(root)
    chosen = matching_plans(store, study) if study is not None else plan_ids(store)
    if not chosen:
        say(f"{store.root} holds no plans yet; `python -m vtbench run STUDY` makes one.")
    for plan_id in chosen:
        plan = load_plan(store, plan_id)
        columns = ["arm", "seed", "run", "state", "stage", "step", "last change"]
        rows = [[*_cell(plan, run_id), run_id, *_state(store, run_id)] for run_id in plan.runs]
        show_table(plan_id, columns, rows, numeric=["seed", "step", "last change"])


def _cell(plan: StudyPlan, run_id: str) -> tuple[str, str]:
    cell = next(cell for cell in plan.cells if cell.run_id == run_id)
    return "".join([cell.arm, *(f" {path}={value}" for path, value in cell.coordinates.items())]), str(cell.seed)


def _state(store: Store, run_id: str) -> tuple[str, str, str, str]:
    """Return a run's state, stage, step and age."""
    record = load_record(store, run_id)
    if record is None:
        return "not started", "", "", ""
    state: str = record.status
    age = f"{duration(max(0.0, time.time() - store.record_path(run_id).stat().st_mtime))} ago"
    if state == "done":
        return state, "", _steps(record), age
    progress = load_progress(store, run_id)
    if progress is not None:
        age = f"{duration(max(0.0, time.time() - progress.time))} ago"
    shown = "stopped" if state == "running" and live_holder(store.lock_path(run_id)) is None else state
    if shown == "failed" and record.error is not None:
        shown = f"failed: {record.error.kind}"
    if progress is None:
        return shown, record.stages[-1].name if record.stages else "", "", age
    return shown, progress.stage, f"{progress.step}/{progress.total}", age


def _steps(record: RunRecord) -> str:
    steps = [stage.steps for stage in record.stages if stage.steps is not None]
    return str(max(steps)) if steps else ""
