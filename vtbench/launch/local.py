"""Runs of a plan on this machine, one after another, each in a worker process.

One at a time, because two training processes on the same cores are far slower together than one after the other. A
failed run does not stop the others. Ctrl-C (or SIGTERM) reaches the worker through this controller alone: the worker
has a session of its own, so it is asked once, saves a checkpoint, and ends.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import BinaryIO, Literal

from vtbench.errors import RunsFailedError
from vtbench.launch.reuse import is_done
from vtbench.launch.worker import DONE
from vtbench.schema.record import RunRecord
from vtbench.schema.study import StudyPlan
from vtbench.store.layout import Store
from vtbench.store.query import Progress, load_progress, load_record

POLL_SECONDS = 0.3
GRACE_SECONDS = 30.0
"""How long a worker has to save when it is asked to stop."""

_ALLOCATOR = {
    # glibc gives large blocks back to the kernel at each step and faults them in again; keeping them is four times as
    # fast
    "MALLOC_MMAP_THRESHOLD_": "4294967296",
    "MALLOC_TRIM_THRESHOLD_": "8589934592",
    "MALLOC_TOP_PAD_": "268435456",
}


@dataclass(frozen=True, kw_only=True)
class RunEvent:
    """Something that happened to a run.

    Attributes:
        kind: what; `progress` comes several times a second while a worker runs.
        run_id: of the run.
        seconds: since its worker was started.
        progress: how far it is, if it has told.
        record: its record, if there is one (not with `progress`).
        cause: why it failed.
    """

    kind: Literal["reused", "started", "progress", "done", "failed", "interrupted"]
    run_id: str
    seconds: float = 0.0
    progress: Progress | None = None
    record: RunRecord | None = None
    cause: str | None = None


OnEvent = Callable[[RunEvent], None]


def run_plan(
    store: Store,
    plan: StudyPlan,
    plan_path: Path,
    run_ids: Sequence[str] | None = None,
    *,
    fresh: bool = False,
    on_event: OnEvent = lambda event: None,
) -> None:
    """Make the runs of a plan; those that are done already are left alone, failed ones are tried again.

    Args:
        store: where runs lie.
        plan: the plan; must be what `plan_path` holds.
        plan_path: file that the workers read.
        run_ids: which of the plan's runs, in order; None means all.
        fresh: train again what is done.
        on_event: told of everything that happens.

    Raises:
        RunsFailedError: some runs failed; the message has each with its cause and log.
        KeyboardInterrupt: asked to stop; the run that was going on has saved a checkpoint.
    """
    failures = []
    with _termination_interrupts():
        for run_id in dict.fromkeys(run_ids if run_ids is not None else plan.runs):
            record = load_record(store, run_id)
            if not fresh and is_done(plan, record):
                on_event(RunEvent(kind="reused", run_id=run_id, record=record))
            elif cause := _run(store, plan_path, run_id, fresh, on_event):
                failures.append(f"  {_label(plan, run_id)}: {cause} (log: {log_path(store, run_id)})")
    if failures:
        number = f"{len(failures)} of {len(plan.runs)} runs failed" if len(plan.runs) > 1 else "The run failed"
        raise RunsFailedError("\n".join([f"{number}; the same command tries again what is missing.", *failures]))


def log_path(store: Store, run_id: str) -> Path:
    """Return the file that takes what a run's workers print."""
    return store.run_dir(run_id) / "worker.log"


def worker_environment() -> dict[str, str]:
    """Return the environment of workers: this process' own, with what training on CPUs wants where it says nothing."""
    cores = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    return {**_ALLOCATOR, "OMP_NUM_THREADS": str(cores), **os.environ}


def _run(store: Store, plan_path: Path, run_id: str, fresh: bool, on_event: OnEvent) -> str | None:
    """Run one worker to its end; return why it failed, or None."""
    path = log_path(store, run_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("wb" if fresh else "ab") as log:
        start, begun = time.monotonic(), log.tell()
        before = load_record(store, run_id)
        process = _start(store, plan_path, run_id, fresh, log)
        on_event(RunEvent(kind="started", run_id=run_id))
        try:
            _watch(process, store, run_id, start, on_event)
        except KeyboardInterrupt:
            _ask_to_stop(process)
            on_event(RunEvent(kind="interrupted", run_id=run_id, seconds=time.monotonic() - start))
            raise
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
    seconds = time.monotonic() - start
    record = load_record(store, run_id)
    cause = (
        None
        if process.returncode == DONE
        else _cause(process.returncode, record if record != before else None, path, begun)
    )
    kind: Literal["done", "failed"] = "failed" if cause else "done"
    on_event(RunEvent(kind=kind, run_id=run_id, seconds=seconds, record=record, cause=cause))
    return cause


def _start(store: Store, plan_path: Path, run_id: str, fresh: bool, log: BinaryIO) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "vtbench.launch.worker", "--root", str(store.root), "--plan", str(plan_path)]
    command += ["--parent", str(os.getpid()), *(["--fresh"] if fresh else []), run_id]
    return subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=log,
        stderr=subprocess.STDOUT,
        env=worker_environment(),
        start_new_session=True,
    )


def _watch(process: subprocess.Popen[bytes], store: Store, run_id: str, start: float, on_event: OnEvent) -> None:
    while True:
        try:
            process.wait(POLL_SECONDS)
            return
        except subprocess.TimeoutExpired:
            progress = load_progress(store, run_id)
            if progress is not None and progress.pid != process.pid:
                progress = None  # left by an earlier worker
            seconds = time.monotonic() - start
            on_event(RunEvent(kind="progress", run_id=run_id, seconds=seconds, progress=progress))


def _ask_to_stop(process: subprocess.Popen[bytes]) -> None:
    """Let the worker save and end; a second Ctrl-C or too long a wait kills it."""
    try:
        process.send_signal(signal.SIGINT)
        process.wait(GRACE_SECONDS)
    except (subprocess.TimeoutExpired, KeyboardInterrupt):
        process.kill()
        process.wait()


def _cause(code: int, record: RunRecord | None, log: Path, begun: int) -> str:
    """Return why a worker failed: the signal that killed it, what it recorded, or the last line it printed."""
    if code < 0:
        name = signal.Signals(-code).name
        return f"killed by {name}{', perhaps for want of memory' if name == 'SIGKILL' else ''}"
    if record is not None and record.status == "failed" and record.error is not None:
        return record.error.message
    with log.open("rb") as file:
        file.seek(begun)
        lines = file.read().decode(errors="replace").split("\n")
    return next((line.strip() for line in reversed(lines) if line.strip()), f"exit code {code}")


def _label(plan: StudyPlan, run_id: str) -> str:
    cell = next(cell for cell in plan.cells if cell.run_id == run_id)
    point = "".join(f" {path}={value}" for path, value in cell.coordinates.items())
    return f"{cell.arm}{point} seed {cell.seed}"


@contextmanager
def _termination_interrupts() -> Iterator[None]:
    """Treat SIGTERM as Ctrl-C while inside (signals can be caught in the main thread alone)."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def interrupt(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
