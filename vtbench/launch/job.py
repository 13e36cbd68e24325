"""What a job of the cluster does: start the same worker as a local run, watch it, and give the run back when asked.

A job is asked to give way in two ways. USR2 comes before its time limit (and from `scancel --signal=USR2`); TERM comes
when it is preempted or cancelled, to all processes of the job at once. Either way the worker saves and ends by itself;
then the job is queued again, unless it was cancelled. All state lies in atomic files: what is pickled is a name and a
few numbers.
"""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Literal

from vtbench.errors import LaunchError
from vtbench.launch import slurm_command
from vtbench.launch.attempt import Attempt, load_attempts, reached, save_attempts
from vtbench.launch.ledger import plan_file
from vtbench.launch.outcome import cause_of, log_path
from vtbench.launch.slots import Slot, cores, worker_environment
from vtbench.launch.worker import DONE, INTERRUPTED, LOCKED
from vtbench.schema.study import ResourceConfig
from vtbench.store.layout import Store
from vtbench.store.lock import STALE_SECONDS, live_holder
from vtbench.store.query import load_record

POLL_SECONDS = 0.2
LOCKED_SECONDS = 3 * STALE_SECONDS
"""How long to wait for a run that another process seems to write: the lock of a dead node outlives it for a while."""

MAX_IDLE = 3
"""Time limits in a row that may pass without any gain before a run is given up."""

RETRY_SECONDS = (1.0, 3.0, 10.0)
"""Pauses before Slurm is asked again, where it does not answer."""

OTHERS_SECONDS = 5.0
"""How long the other ranks have to record why one of them failed, before its end takes them along."""

STOPPED = (INTERRUPTED, -signal.SIGTERM, -signal.SIGINT)
Handler = Callable[[int, FrameType | None], object]


@dataclass(frozen=True)
class Job:
    """One run's job; each of its ranks has the same.

    Attributes:
        root: the store's folder, absolute.
        name: the submission.
        run_id: the run.
        resources: what a worker may use.
        minutes: the job's time limit.
        signal_seconds: how long before its end it is told.
    """

    root: str
    name: str
    run_id: str
    resources: ResourceConfig
    minutes: int
    signal_seconds: int

    @property
    def store(self) -> Store:
        """Where the run lies."""
        return Store(Path(self.root))


def work(job: Job, job_id: str, rank: int, requeue: Handler) -> None:
    """Make the run, or as much of it as the job's time allows.

    Args:
        job: which.
        job_id: Slurm's.
        rank: of this process.
        requeue: puts the job back into the queue and ends this process; on ranks above 0 it does nothing. It is
            called from here and never from within a signal handler.

    Raises:
        LaunchError: the run failed or was cancelled; says why.
    """
    asked = _Asked()
    signal.signal(signal.SIGUSR2, asked.take)
    earlier = load_attempts(job.store, job.name, job.run_id, rank)
    attempt = Attempt(job_id=job_id, host=socket.gethostname(), pid=os.getpid(), started=time.time())
    save_attempts(job.store, job.name, job.run_id, (*earlier, attempt), rank)

    def end(code: int, requeued: bool = False, cause: str | None = None) -> tuple[Attempt, ...]:
        news = {"ended": time.time(), "code": code, "requeued": requeued, "cause": cause}
        ended = attempt.model_copy(update={**news, "reached": reached(job.store, job.run_id)})
        save_attempts(job.store, job.name, job.run_id, (*earlier, ended), rank)
        return (*earlier, ended)

    code, cause = _work_until_end(job, rank, asked)
    if code == DONE:
        end(code)
        return
    if asked.raised or code in STOPPED:
        # The ranks are told one after the other: USR2 may come only now, and would end Slurm's commands too.
        with _usr2_blocked():
            next_, problem = ("requeue", "") if asked.raised or rank > 0 else _what_next(job_id)
            if next_ != "end":
                attempts = end(code, requeued=True)
                if _is_idle(attempts, job.minutes * 60):
                    cause = (
                        f"nothing was gained in {MAX_IDLE} jobs of {job.minutes} minutes each; give jobs more time"
                        " (resources.minutes of the profile), or save more often (train.checkpoint_every)"
                    )
                    end(code, cause=cause)
                    raise LaunchError(cause)
                if next_ == "leave":
                    return
                problem = _requeue(requeue)
                if not problem:
                    return
        cause = problem or "cancelled"
    end(code, cause=cause)
    if rank > 0:
        time.sleep(OTHERS_SECONDS)
    raise LaunchError(cause)


def _what_next(job_id: str) -> tuple[Literal["requeue", "leave", "end"], str]:
    """Return what becomes of a job whose worker was told to stop, by whom this process was not told.

    The job still runs: it was pre-empted with a time of grace, or somebody sent TERM; requeue it. Slurm has requeued it
    already: leave it. Otherwise it was cancelled; or Slurm does not say, and the second value is why.
    """
    found: list[tuple[str, int]] = []
    problem = _insist(lambda: found.append(slurm_command.state_and_restarts(job_id)))
    if problem:
        return "end", f"stopped, and Slurm did not say whether the job goes on ({problem})"
    state, restarts = found[0]
    if state == "RUNNING":
        return "requeue", ""
    return ("leave" if restarts > int(os.environ.get("SLURM_RESTART_COUNT") or 0) else "end"), ""


def _requeue(requeue: Handler) -> str:
    """Put the job back into the queue, which ends this process where it works; return why it did not, if so."""
    problem = _insist(lambda: requeue(signal.SIGUSR2, None))
    return f"stopped and saved, but it could not be queued again ({problem})" if problem else ""


def _insist(ask: Callable[[], object]) -> str:
    """Ask Slurm until it answers, a few times; return why it does not, or nothing."""
    for seconds in (*RETRY_SECONDS, None):
        try:
            ask()
        except (LaunchError, subprocess.SubprocessError, OSError) as error:
            problem = str(error)
        else:
            return ""
        if seconds is not None:
            time.sleep(seconds)
    return problem


@contextmanager
def _usr2_blocked() -> Iterator[None]:
    """Keep USR2 from this process, and from those that it starts, while inside: a child inherits what is blocked."""
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGUSR2})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGUSR2})


class _Asked:
    """Whether USR2 has come."""

    raised = False

    def take(self, number: int, frame: FrameType | None) -> None:
        """Note that it has."""
        self.raised = True


def _work_until_end(job: Job, rank: int, asked: _Asked) -> tuple[int, str]:
    """Run workers until one ends by itself or is asked to; return its exit code and the cause if it failed."""
    deadline = time.monotonic() + LOCKED_SECONDS
    while True:
        while rank == 0 and live_holder(job.store.lock_path(job.run_id)) and time.monotonic() < deadline:
            if asked.raised:
                return INTERRUPTED, ""
            time.sleep(POLL_SECONDS)
        record = load_record(job.store, job.run_id)
        log = log_path(job.store, job.run_id, rank)
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("ab") as file:
            begun = file.tell()
            code = _watch(_start(job, file.fileno()), asked, max(10, job.signal_seconds - 15))
        if code != LOCKED or rank > 0 or asked.raised or time.monotonic() > deadline:
            break
    if code == DONE:
        return code, ""
    after = load_record(job.store, job.run_id)
    return code, cause_of(code, after if after != record else None, log, begun)


def _start(job: Job, output: int) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-m", "vtbench.launch.worker", "--root", job.root]
    command += ["--plan", str(plan_file(job.store, job.name)), "--parent", str(os.getpid()), job.run_id]
    num_cores = int(os.environ.get("SLURM_CPUS_PER_TASK") or 0) or cores()
    # Slurm sends USR2 to all processes of a job, and it would end the worker.
    with _usr2_blocked():
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            env=worker_environment(job.resources, Slot(num_cores)),
        )


def _watch(worker: subprocess.Popen[bytes], asked: _Asked, save_seconds: float) -> int:
    """Wait for a worker's end; when asked, tell it to save, and kill it if it takes longer than `save_seconds`."""
    deadline: float | None = None
    while worker.poll() is None:
        if asked.raised and deadline is None:
            worker.terminate()
            deadline = time.monotonic() + save_seconds
        if deadline is not None and time.monotonic() > deadline:
            worker.kill()
        time.sleep(POLL_SECONDS)
    return worker.returncode


def _is_idle(attempts: tuple[Attempt, ...], seconds: float) -> bool:
    """Return whether the last attempts used most of their time and left the run where it was."""
    last = attempts[-MAX_IDLE:]
    long = all(each.ended is not None and each.ended - each.started > seconds / 2 for each in last)
    return len(last) == MAX_IDLE and long and len({each.reached for each in last}) == 1
