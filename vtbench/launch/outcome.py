"""How a run ended: why a worker failed, and how a report of several failures reads."""

from __future__ import annotations

import signal
from collections.abc import Sequence
from pathlib import Path

from vtbench.errors import RunsFailedError
from vtbench.schema.record import RunRecord
from vtbench.schema.study import StudyPlan
from vtbench.store.layout import Store


def log_path(store: Store, run_id: str, rank: int = 0) -> Path:
    """Return the file that takes what a run's workers print; ranks above 0 have files of their own."""
    return store.worker_log_path(run_id, rank)


def cause_of(code: int, record: RunRecord | None, log: Path, begun: int) -> str:
    """Return why a worker failed: the signal that killed it, what it recorded, or the last line it printed.

    Args:
        code: exit code, negative for the signal that killed it.
        record: the run's record, if this worker has changed it.
        log: what the worker printed.
        begun: how long the log was when it started, in bytes.
    """
    if code < 0:
        name = signal.Signals(-code).name
        return f"killed by {name}{', perhaps for want of memory' if name == 'SIGKILL' else ''}"
    if record is not None and record.status == "failed" and record.error is not None:
        return record.error.message
    with log.open("rb") as file:
        file.seek(begun)
        lines = file.read().decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), f"exit code {code}")


def label(plan: StudyPlan, run_id: str) -> str:
    """Return arm, axis values and seed of the first cell that a run answers, or helps to answer."""
    cell = plan.cell_of(run_id)
    point = "".join(f" {path}={value}" for path, value in cell.coordinates.items())
    return f"{cell.arm}{point} seed {cell.seed}"


def unmade_need(plan: StudyPlan, need: str, cause: str) -> str:
    """Return why a run that needs the run `need` cannot be made."""
    return f"it needs {label(plan, need)}, which was not made: {cause}"


def failure(store: Store, plan: StudyPlan, causes: Sequence[tuple[str, str]]) -> RunsFailedError:
    """Return the error that names each failed run with its cause and its log.

    Args:
        store: where runs lie.
        plan: the plan.
        causes: run id and cause, one for each run that failed.
    """
    lines = [f"  {label(plan, run_id)}: {cause} (log: {log_path(store, run_id)})" for run_id, cause in causes]
    number = f"{len(causes)} of {len(plan.runs)} runs failed" if len(plan.runs) > 1 else "The run failed"
    return RunsFailedError("\n".join([f"{number}; the same command tries again what is missing.", *lines]))
