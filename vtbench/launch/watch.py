"""Watching runs on a cluster until all have ended."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from vtbench.launch import ledger, slurm_command, state
from vtbench.launch.cluster import place
from vtbench.launch.event import Kind, OnEvent, RunEvent
from vtbench.launch.ledger import Submission
from vtbench.launch.outcome import failure, unmade_need
from vtbench.launch.reuse import is_done
from vtbench.launch.slurm_command import SlurmJob
from vtbench.launch.state import JobState
from vtbench.schema.study import StudyPlan
from vtbench.store.layout import Store
from vtbench.store.lock import live_holder
from vtbench.store.query import load_progress, load_record

DEFAULT_POLL_SECONDS = 10.0
GONE_SECONDS = 15.0
"""How long a job may be gone before its run is given up: files of other machines appear with a delay."""


def watch_plan(
    store: Store,
    plan: StudyPlan,
    run_ids: Sequence[str],
    *,
    poll_seconds: float | None = None,
    on_event: OnEvent = lambda event: None,
    unwanted: Callable[[str], bool] | None = None,
) -> None:
    """Wait until the jobs of runs have ended, and tell what happens meanwhile.

    Args:
        store: where runs lie.
        plan: the plan.
        run_ids: the runs to wait for.
        poll_seconds: how often Slurm is asked.
        on_event: told of everything that happens.
        unwanted: asked again and again whether a run that goes on is still wanted; the job of one that is not is
            cancelled, saves, and counts as failed.

    Raises:
        RunsFailedError: some runs failed; the message has each with its cause and log.
        KeyboardInterrupt: asked to stop watching; the jobs go on.
    """
    watch = _Watch(store, plan, run_ids, poll_seconds or DEFAULT_POLL_SECONDS, on_event, unwanted)
    while watch.left:
        watch.look()
        if watch.left:
            time.sleep(min(1.0, watch.poll_seconds))
    if watch.causes:
        raise failure(store, plan, watch.causes)


class _Watch:
    """What is known of the runs that have not ended."""

    def __init__(
        self,
        store: Store,
        plan: StudyPlan,
        run_ids: Sequence[str],
        poll_seconds: float,
        on_event: OnEvent,
        unwanted: Callable[[str], bool] | None = None,
    ) -> None:
        self._store, self._plan, self._on_event = store, plan, on_event
        self._unwanted = unwanted
        self._cancelled: set[str] = set()
        self.poll_seconds = poll_seconds
        self.left = list(run_ids)
        self.causes: list[tuple[str, str]] = []
        self._words: dict[str, str] = {}
        self._begun: dict[str, float] = {}
        self._gone: dict[str, float] = {}
        self._jobs: dict[str, SlurmJob] | None = None
        self._asked = -1e9
        newest = ledger.latest(ledger.submissions(store))
        self._submitted: dict[str, Submission] = {run_id: newest[run_id] for run_id in run_ids if run_id in newest}

    def look(self) -> None:
        """Look once at all runs."""
        found = {
            run_id: state.from_files(self._store, run_id, self._submitted[run_id])
            for run_id in self.left
            if run_id in self._submitted
        }
        unsettled = [run_id for run_id, known in found.items() if known is None]
        if unsettled and time.monotonic() - self._asked > self.poll_seconds:
            self._jobs = state.ask_slurm([self._submitted[run_id] for run_id in unsettled])
            self._asked = time.monotonic()
        for run_id in list(self.left):
            if run_id not in self._submitted:
                self._look_at_other(run_id)
                continue
            known = found[run_id]
            if known is None:
                known = state.from_slurm(self._store, run_id, self._submitted[run_id], self._jobs)
                if known.word == "failed" and known.num_attempts and self._may_come(run_id):
                    continue
            self._take(run_id, known)

    def _may_come(self, run_id: str) -> bool:
        """Return whether a job that Slurm calls ended ended so lately that its exit file may not be visible yet."""
        since = self._gone.setdefault(run_id, time.monotonic())
        return time.monotonic() - since < max(2 * self.poll_seconds, GONE_SECONDS)

    def _take(self, run_id: str, known: JobState) -> None:
        """Tell what is new about a run."""
        word = known.word
        if word in ("done", "failed"):
            self._end(run_id, None if word == "done" else known.reason or "its job failed")
            return
        self._gone.pop(run_id, None)
        if word == "queued" and self._words.get(run_id) == "running":
            self._on_event(RunEvent(kind="queued", run_id=run_id, cause=known.reason, place=place(known)))
        if word == "running":
            if self._words.get(run_id) != "running":
                self._begun[run_id] = time.monotonic()
                self._on_event(RunEvent(kind="started", run_id=run_id, place=place(known)))
            self._progress(run_id)
            if self._unwanted is not None and run_id not in self._cancelled and self._unwanted(run_id):
                slurm_command.cancel([known.job_id] if known.job_id is not None else [])
                self._cancelled.add(run_id)
        if word != "unknown":
            self._words[run_id] = word

    def _progress(self, run_id: str) -> None:
        if live_holder(self._store.lock_path(run_id)) is None:
            return  # what is there was left by an earlier worker
        progress = load_progress(self._store, run_id)
        self._on_event(RunEvent(kind="progress", run_id=run_id, seconds=self._seconds(run_id), progress=progress))

    def _look_at_other(self, run_id: str) -> None:
        """Look at a run that a process outside the cluster makes."""
        if live_holder(self._store.lock_path(run_id)) is not None:
            return
        done = is_done(self._plan, load_record(self._store, run_id))
        self._end(run_id, None if done else "the process that made it, outside the cluster, ended too early")

    def _end(self, run_id: str, cause: str | None) -> None:
        self.left.remove(run_id)
        record = load_record(self._store, run_id)
        if cause is not None and (broken := self._broken_need(run_id)) is not None:
            cause = unmade_need(self._plan, *broken)
        if cause is not None:
            self.causes.append((run_id, cause))
        kind: Kind = "failed" if cause is not None else "done"
        self._on_event(RunEvent(kind=kind, run_id=run_id, seconds=self._seconds(run_id), record=record, cause=cause))

    def _broken_need(self, run_id: str) -> tuple[str, str] | None:
        """Return a run that this one needs and that failed, with its cause: Slurm has then cancelled this one's job."""
        needs = self._plan.runs[run_id].needs
        return next((each for each in self.causes if each[0] in needs), None)

    def _seconds(self, run_id: str) -> float:
        return time.monotonic() - self._begun[run_id] if run_id in self._begun else 0.0
