"""Runs of a plan on this machine, each in a worker process, never more at once than there are slots.

A run waits until those that it needs are done. A failed run does not stop the others, except those that need it, which
fail with its cause. A run that another process writes at the moment is waited for, not made twice.
Ctrl-C (or SIGTERM) reaches the workers through this controller alone: each has a session of its own, so it is asked
once, saves a checkpoint, and ends.
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

from vtbench.errors import RunLockedError
from vtbench.launch.event import Kind, OnEvent, RunEvent
from vtbench.launch.outcome import cause_of, failure, log_path, unmade_need
from vtbench.launch.reuse import Retry, is_done, wanted
from vtbench.launch.slots import Slot, make_slots, worker_environment
from vtbench.launch.worker import DONE, INTERRUPTED, LOCKED
from vtbench.schema.record import RunRecord
from vtbench.schema.study import StudyPlan
from vtbench.store.layout import Store
from vtbench.store.lock import RunLock, live_holder
from vtbench.store.query import load_progress, load_record

POLL_SECONDS = 0.3
GRACE_SECONDS = 30.0
"""How long a worker has to save when it is asked to stop."""


def run_plan(
    store: Store,
    plan: StudyPlan,
    plan_path: Path,
    run_ids: Sequence[str] | None = None,
    *,
    fresh: bool = False,
    jobs: int | None = None,
    retry: Retry = "all",
    on_event: OnEvent = lambda event: None,
    on_wait: Callable[[str], None] = lambda text: None,
    unwanted: Callable[[str], bool] | None = None,
) -> None:
    """Make the runs of a plan; those that are done already are left alone, failed ones are tried again.

    Of several controllers of one plan the first works and the others wait for it.

    Args:
        store: where runs lie.
        plan: the plan; must be what `plan_path` holds.
        plan_path: file that the workers read.
        run_ids: which of the plan's runs, in order; None means all.
        fresh: train again what is done.
        jobs: most runs at once; None means as many as `make_slots` finds.
        retry: which of the runs that are not done to make.
        on_event: told of everything that happens.
        on_wait: told which process works at this plan already, before waiting for it.
        unwanted: asked again and again whether a run that goes on is still wanted; one that is not is asked to save
            and end, and counts as interrupted.

    Raises:
        RunsFailedError: some runs failed; the message has each with its cause and log.
        KeyboardInterrupt: asked to stop; the runs that were going on have saved a checkpoint.
    """
    with termination_interrupts(), only_controller(controller_lock(store, plan.id), "study", on_wait):
        waiting = []
        for run_id in dict.fromkeys(run_ids if run_ids is not None else plan.runs):
            record = load_record(store, run_id)
            if not fresh and is_done(plan, record):
                on_event(RunEvent(kind="reused", run_id=run_id, record=record))
            elif wanted(retry, record is not None and record.status == "failed"):
                waiting.append(run_id)
        slots = make_slots(plan.profile.resources, jobs)
        causes = _Pool(store, plan, plan_path, slots, fresh, on_event, unwanted).run(waiting)
    if causes:
        raise failure(store, plan, causes)


def controller_lock(store: Store, plan_id: str) -> Path:
    """Return the lock that the controller of a plan's local runs holds."""
    return store.plan_path(plan_id).with_name("lock")


@contextmanager
def only_controller(path: Path, what: str, on_wait: Callable[[str], None]) -> Iterator[None]:
    """Be the one process on any machine that holds the lock at `path`; wait until the present one ends.

    Args:
        path: the lock's file.
        what: what is controlled, for example `study`.
        on_wait: told, once, whom this process waits for.
    """
    lock, told = RunLock(path), False
    while True:
        try:
            lock.acquire()
            break
        except RunLockedError:
            if not told and (holder := live_holder(lock.path)) is not None:
                on_wait(f"process {holder.pid} on {holder.host} is at this {what} already; waiting for it")
                told = True
            time.sleep(POLL_SECONDS)
    try:
        yield
    finally:
        lock.release()


@dataclass
class _Worker:
    """A worker process and what is needed to tell how it ended."""

    run_id: str
    process: subprocess.Popen[bytes]
    start: float
    log: Path
    begun: int
    before: RunRecord | None
    slot: Slot
    asked_to_end: bool = False


class _Pool:
    """Worker processes of one plan, each in a slot."""

    def __init__(
        self,
        store: Store,
        plan: StudyPlan,
        plan_path: Path,
        slots: list[Slot],
        fresh: bool,
        on_event: OnEvent,
        unwanted: Callable[[str], bool] | None = None,
    ) -> None:
        self._store, self._plan, self._plan_path = store, plan, plan_path
        self._fresh, self._on_event, self._unwanted = fresh, on_event, unwanted
        self._free = list(slots)
        self._workers: list[_Worker] = []
        self._elsewhere: list[str] = []
        self._not_made: dict[str, str] = {}

    def run(self, run_ids: Sequence[str]) -> list[tuple[str, str]]:
        """Run all, never more at once than there are slots; return those that failed with their causes."""
        waiting, causes = list(run_ids), []
        try:
            while waiting or self._workers or self._elsewhere:
                for given_up in [run_id for run_id in waiting if self._broken_needs(run_id)]:
                    waiting.remove(given_up)
                    causes.append((given_up, self._give_up(given_up)))
                while self._free and (run_id := self._next(waiting)) is not None:
                    waiting.remove(run_id)
                    self._start(run_id)
                self._wait()
                for worker in [worker for worker in self._workers if worker.process.poll() is not None]:
                    self._workers.remove(worker)
                    self._free.insert(0, worker.slot)
                    if cause := self._finish(worker):
                        causes.append((worker.run_id, cause))
                waiting += self._given_back()
        except KeyboardInterrupt:
            self._stop()
            raise
        finally:
            for worker in self._workers:
                worker.process.kill()
                worker.process.wait()
        return causes

    def _next(self, waiting: Sequence[str]) -> str | None:
        """Return the first run that needs none of those that are still to be made."""
        unmade = {*waiting, *(worker.run_id for worker in self._workers), *self._elsewhere}
        return next((each for each in waiting if unmade.isdisjoint(self._plan.runs[each].needs)), None)

    def _broken_needs(self, run_id: str) -> list[str]:
        return [need for need in self._plan.runs[run_id].needs if need in self._not_made]

    def _give_up(self, run_id: str) -> str:
        """Tell that a run cannot be made, and return why."""
        need = self._broken_needs(run_id)[0]
        cause = self._not_made[run_id] = unmade_need(self._plan, need, self._not_made[need])
        self._on_event(RunEvent(kind="failed", run_id=run_id, cause=cause))
        return cause

    def _start(self, run_id: str) -> None:
        if live_holder(self._store.lock_path(run_id)) is not None:
            self._wait_for(run_id)
            return
        log = log_path(self._store, run_id)
        log.parent.mkdir(parents=True, exist_ok=True)
        command = [sys.executable, "-m", "vtbench.launch.worker", "--root", str(self._store.root)]
        command += ["--plan", str(self._plan_path), "--parent", str(os.getpid())]
        before, slot = load_record(self._store, run_id), self._free.pop(0)
        with log.open("wb" if self._fresh else "ab") as file:
            begun = file.tell()
            process = subprocess.Popen(
                [*command, *(["--fresh"] if self._fresh else []), run_id],
                stdin=subprocess.DEVNULL,
                stdout=file,
                stderr=subprocess.STDOUT,
                env=worker_environment(self._plan.profile.resources, slot),
                start_new_session=True,
            )
        self._workers.append(_Worker(run_id, process, time.monotonic(), log, begun, before, slot))
        self._on_event(RunEvent(kind="started", run_id=run_id))

    def _wait_for(self, run_id: str) -> None:
        """Note that another process writes a run."""
        holder = live_holder(self._store.lock_path(run_id))
        where = f"process {holder.pid} on {holder.host}" if holder is not None else "another process"
        self._elsewhere.append(run_id)
        self._on_event(RunEvent(kind="queued", run_id=run_id, cause=f"{where} is at it; waiting"))

    def _given_back(self) -> list[str]:
        """Return runs that other processes have let go before they were done, and tell of those that are done."""
        again = []
        for run_id in list(self._elsewhere):
            if live_holder(self._store.lock_path(run_id)) is not None:
                continue
            self._elsewhere.remove(run_id)
            record = load_record(self._store, run_id)
            if is_done(self._plan, record):
                self._on_event(RunEvent(kind="reused", run_id=run_id, record=record))
            else:
                again.append(run_id)
        return again

    def _wait(self) -> None:
        """Wait for a moment, or until the oldest worker ends, and tell how far each is."""
        if not self._workers:
            time.sleep(POLL_SECONDS if self._elsewhere else 0)
            return
        with suppress(subprocess.TimeoutExpired):
            self._workers[0].process.wait(POLL_SECONDS)
        for worker in self._workers:
            if worker.process.poll() is None:
                progress = load_progress(self._store, worker.run_id)
                if progress is not None and progress.pid != worker.process.pid:
                    progress = None  # left by an earlier worker
                seconds = time.monotonic() - worker.start
                self._on_event(RunEvent(kind="progress", run_id=worker.run_id, seconds=seconds, progress=progress))
                # before its progress a worker has no handlers for signals, and nothing to save
                if progress is not None and not worker.asked_to_end and self._is_unwanted(worker.run_id):
                    worker.process.send_signal(signal.SIGINT)
                    worker.asked_to_end = True

    def _is_unwanted(self, run_id: str) -> bool:
        return self._unwanted is not None and self._unwanted(run_id)

    def _finish(self, worker: _Worker) -> str | None:
        """Tell how a worker ended; return why it failed, or None."""
        record = load_record(self._store, worker.run_id)
        code, cause = worker.process.returncode, None
        if code == LOCKED:  # another process was a moment faster
            self._wait_for(worker.run_id)
            return None
        if code == INTERRUPTED and worker.asked_to_end:
            seconds = time.monotonic() - worker.start
            self._not_made[worker.run_id] = "it was not wanted any more"
            self._on_event(RunEvent(kind="interrupted", run_id=worker.run_id, seconds=seconds, record=record))
            return None
        if code == INTERRUPTED:
            cause = "cancelled"
        elif code != DONE:
            cause = cause_of(code, record if record != worker.before else None, worker.log, worker.begun)
        if cause:
            self._not_made[worker.run_id] = cause
        kind: Kind = "failed" if cause else "done"
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


@contextmanager
def termination_interrupts() -> Iterator[None]:
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
