"""Runs of a plan on this machine, each in a worker process, never more at once than there are slots.

Small models gain little from a second thread and much from a second process: where a profile says how many threads a
run takes, as many runs go at once as the cores hold. Otherwise a run has all cores, and runs go one after another:
two processes that each want all cores are far slower together. A failed run does not stop the others. Ctrl-C (or
SIGTERM) reaches the workers through this controller alone: each has a session of its own, so it is asked once, saves
a checkpoint, and ends.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Literal

from vtbench.errors import RunsFailedError
from vtbench.launch.reuse import is_done
from vtbench.launch.worker import DONE
from vtbench.schema.record import RunRecord
from vtbench.schema.study import ResourceConfig, StudyPlan
from vtbench.store.layout import Store
from vtbench.store.query import Progress, load_progress, load_record

POLL_SECONDS = 0.3
GRACE_SECONDS = 30.0
"""How long a worker has to save when it is asked to stop."""

MAX_SLOTS = 4
"""Most runs at once unless `--jobs` says more: each takes about a gigabyte."""

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
    jobs: int | None = None,
    on_event: OnEvent = lambda event: None,
) -> None:
    """Make the runs of a plan; those that are done already are left alone, failed ones are tried again.

    Args:
        store: where runs lie.
        plan: the plan; must be what `plan_path` holds.
        plan_path: file that the workers read.
        run_ids: which of the plan's runs, in order; None means all.
        fresh: train again what is done.
        jobs: most runs at once; None means `num_slots`.
        on_event: told of everything that happens.

    Raises:
        RunsFailedError: some runs failed; the message has each with its cause and log.
        KeyboardInterrupt: asked to stop; the runs that were going on have saved a checkpoint.
    """
    waiting = []
    for run_id in dict.fromkeys(run_ids if run_ids is not None else plan.runs):
        record = load_record(store, run_id)
        if not fresh and is_done(plan, record):
            on_event(RunEvent(kind="reused", run_id=run_id, record=record))
        else:
            waiting.append(run_id)
    with _termination_interrupts():
        pool = _Pool(store, plan_path, worker_environment(plan.profile.resources), fresh, on_event)
        causes = pool.run(waiting, jobs or num_slots(plan.profile.resources))
    if causes:
        lines = [f"  {_label(plan, run_id)}: {cause} (log: {log_path(store, run_id)})" for run_id, cause in causes]
        number = f"{len(causes)} of {len(plan.runs)} runs failed" if len(plan.runs) > 1 else "The run failed"
        raise RunsFailedError("\n".join([f"{number}; the same command tries again what is missing.", *lines]))


def num_slots(resources: ResourceConfig) -> int:
    """Return how many runs of a profile this machine takes at once; a GPU, or all cores, take one."""
    if resources.device != "cpu" or resources.num_threads is None:
        return 1
    return max(1, min(_cores() // resources.num_threads, MAX_SLOTS))


def log_path(store: Store, run_id: str) -> Path:
    """Return the file that takes what a run's workers print."""
    return store.run_dir(run_id) / "worker.log"


def worker_environment(resources: ResourceConfig) -> dict[str, str]:
    """Return the environment of workers: this process' own, with what training on CPUs wants.

    A number of threads that the profile fixes stands above the environment's: results depend on it.
    """
    if resources.num_threads is not None:
        return {**_ALLOCATOR, **os.environ, "OMP_NUM_THREADS": str(resources.num_threads)}
    return {**_ALLOCATOR, "OMP_NUM_THREADS": str(_cores()), **os.environ}


def _cores() -> int:
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1


@dataclass
class _Worker:
    """A worker process and what is needed to tell how it ended."""

    run_id: str
    process: subprocess.Popen[bytes]
    start: float
    log: Path
    begun: int
    before: RunRecord | None


class _Pool:
    """Worker processes of one plan."""

    def __init__(
        self, store: Store, plan_path: Path, environment: dict[str, str], fresh: bool, on_event: OnEvent
    ) -> None:
        self._store, self._plan_path, self._environment = store, plan_path, environment
        self._fresh, self._on_event = fresh, on_event
        self._workers: list[_Worker] = []

    def run(self, run_ids: Sequence[str], slots: int) -> list[tuple[str, str]]:
        """Run all, at most `slots` at once; return those that failed with their causes."""
        waiting, causes = list(run_ids), []
        try:
            while waiting or self._workers:
                while waiting and len(self._workers) < slots:
                    self._start(waiting.pop(0))
                self._wait()
                for worker in [worker for worker in self._workers if worker.process.poll() is not None]:
                    self._workers.remove(worker)
                    if cause := self._finish(worker):
                        causes.append((worker.run_id, cause))
        except KeyboardInterrupt:
            self._stop()
            raise
        finally:
            for worker in self._workers:
                worker.process.kill()
                worker.process.wait()
        return causes

    def _start(self, run_id: str) -> None:
        log = log_path(self._store, run_id)
        log.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "vtbench.launch.worker", "--root", str(self._store.root)]
        command += ["--plan", str(self._plan_path), "--parent", str(os.getpid())]
        before = load_record(self._store, run_id)
        with log.open("wb" if self._fresh else "ab") as file:
            begun = file.tell()
            process = subprocess.Popen(
                [*command, *(["--fresh"] if self._fresh else []), run_id],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=self._environment,
                start_new_session=True,
            )
        self._workers.append(_Worker(run_id, process, time.monotonic(), log, begun, before))
        self._on_event(RunEvent(kind="started", run_id=run_id))

    def _wait(self) -> None:
        """Wait for a moment, or until the oldest worker ends, and tell how far each is."""
        with suppress(subprocess.TimeoutExpired):
            self._workers[0].process.wait(POLL_SECONDS)
        for worker in self._workers:
            if worker.process.poll() is None:
                progress = load_progress(self._store, worker.run_id)
                if progress is not None and progress.pid != worker.process.pid:
                    progress = None  # left by an earlier worker
                seconds = time.monotonic() - worker.start
                self._on_event(RunEvent(kind="progress", run_id=worker.run_id, seconds=seconds, progress=progress))

    def _finish(self, worker: _Worker) -> str | None:
        """Tell how a worker ended; return why it failed, or None."""
        record = load_record(self._store, worker.run_id)
        code, cause = worker.process.returncode, None
        if code != DONE:
            cause = _cause(code, record if record != worker.before else None, worker.log, worker.begun)
        kind: Literal["done", "failed"] = "failed" if cause else "done"
        seconds = time.monotonic() - worker.start
        self._on_event(RunEvent(kind=kind, run_id=worker.run_id, seconds=seconds, record=record, cause=cause))
        return cause

    def _stop(self) -> None:
        """Let the workers save and end; a second Ctrl-C or too long a wait kills them."""
        deadline = time.monotonic() + GRACE_SECONDS
        for worker in self._workers:
            worker.process.send_signal(signal.SIGINT)
        for worker in self._workers:
            with suppress(subprocess.TimeoutExpired, KeyboardInterrupt):
                worker.process.wait(max(0.0, deadline - time.monotonic()))
            seconds = time.monotonic() - worker.start
            self._on_event(RunEvent(kind="interrupted", run_id=worker.run_id, seconds=seconds))


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
