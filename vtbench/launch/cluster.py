"""Runs of a plan on a cluster: submit what is missing, join what is on its way, and watch until all have ended.

A controller may die at any moment, and several may work at one study. What is submitted is decided under a lock, from
the store and the ledger alone, so the next controller finds every job and submits nothing twice. Runs that need others,
of this plan or of one that was submitted before, are arrays of their own, one for each set of needed runs, which Slurm
holds until those have ended well.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from vtbench.errors import LaunchError, RunLockedError
from vtbench.launch import ledger, slurm_command
from vtbench.launch.event import OnEvent, RunEvent
from vtbench.launch.reuse import Retry, is_done, wanted
from vtbench.launch.slurm import UnclearAnswerError, has_pickles, submit_array
from vtbench.launch.snapshot import take_snapshot
from vtbench.launch.state import JobState, job_states
from vtbench.schema.cluster import ClusterConfig
from vtbench.schema.record import RunRecord
from vtbench.schema.study import StudyPlan
from vtbench.store.layout import Store
from vtbench.store.lock import RunLock, live_holder
from vtbench.store.query import load_record

SETTLE_SECONDS = 5.0
"""How long `sbatch` may go on after its controller was killed."""


def submit_plan(
    store: Store,
    plan: StudyPlan,
    cluster: ClusterConfig,
    *,
    name: str = "slurm",
    fresh: bool = False,
    retry: Retry = "all",
    parallel: int | None = None,
    on_event: OnEvent = lambda event: None,
) -> list[str]:
    """Submit the runs of a plan that are neither done nor on their way; return those to wait for, in order.

    Args:
        store: where runs lie; all nodes must see it.
        plan: the plan.
        cluster: options, the profile's and the cluster file's together.
        name: of the cluster on the command line, for the ledger.
        fresh: train again what is done.
        retry: which runs to submit: all that are missing, those that failed alone, or those that never failed.
        parallel: most runs at once.
        on_event: told what becomes of each run.

    Raises:
        LaunchError: Slurm refused, or does not answer; what was submitted before is kept.
    """
    with submission_lock(store):
        recover(store)
        others = {need for spec in plan.runs.values() for need in spec.needs} - plan.runs.keys()
        states = job_states(store, [*plan.runs, *sorted(others)])
        if unsure := [state for state in states.values() if state.word == "unknown"]:
            raise LaunchError(
                f"Slurm does not answer, so nobody can tell whether {len(unsure)} jobs are still there. Nothing was"
                " submitted; try again."
            )
        missing, joined = [], []
        jobs = {run_id: state.job_id for run_id, state in states.items() if state.active and state.job_id is not None}
        for run_id in plan.runs:
            record, state = load_record(store, run_id), states.get(run_id)
            if state is not None and state.active:
                joined.append(run_id)
                if state.word == "queued":
                    on_event(RunEvent(kind="queued", run_id=run_id, cause=state.reason, place=place(state)))
            elif not fresh and is_done(plan, record):
                on_event(RunEvent(kind="reused", run_id=run_id, record=record))
            elif live_holder(store.lock_path(run_id)) is not None:
                joined.append(run_id)
            elif wanted(retry, failed(record, state)):
                missing.append(run_id)
        if fresh and joined:
            raise LaunchError(
                f"{len(joined)} runs are on their way, so --fresh cannot begin them again. End them with"
                f" `python -m vtbench cancel {plan.id}` first."
            )
        if missing:
            submit = _Submitter(store, plan, cluster, name, fresh, parallel, on_event)
            submit.all(missing, jobs)
    waited = {*missing, *joined}
    return [run_id for run_id in plan.runs if run_id in waited]


def place(state: JobState) -> str | None:
    """Return the job and the node of a state, as a reader wants them."""
    if state.job_id is None:
        return None
    return f"job {state.job_id}{f' on {state.node}' if state.node else ''}"


def chunks(run_ids: Sequence[str], size: int) -> list[list[str]]:
    """Return runs in as few lists as possible, none longer than `size` and all about as long."""
    number = -(-len(run_ids) // size)
    return [list(run_ids[len(run_ids) * n // number : len(run_ids) * (n + 1) // number]) for n in range(number)]


def recover(store: Store) -> None:
    """Settle submissions whose controller was killed before it could note the job id.

    Jobs that lack what they call cannot begin and are ended; complete ones are adopted.

    Raises:
        LaunchError: Slurm does not answer.
    """
    for submission in ledger.submissions(store):
        if submission.status != "planned":
            continue
        time.sleep(max(0.0, min(SETTLE_SECONDS, submission.created + SETTLE_SECONDS - time.time())))
        jobs = slurm_command.jobs_named([submission.name])
        ids = {job.job_id.partition("_")[0] for job in jobs}
        if len(ids) == 1 and has_pickles(store, submission, job_id := ids.pop()):
            ledger.save(store, submission, status="submitted", job_id=job_id)
            continue
        slurm_command.cancel({job.job_id.partition("_")[0] for job in jobs if job.active})
        ledger.save(store, submission, status="void", reason="its controller ended while it was being submitted")


@contextmanager
def submission_lock(store: Store) -> Iterator[None]:
    """Hold the right to submit jobs of a store; wait while another controller has it."""
    lock = RunLock(store.jobs_dir / "lock")
    while True:
        try:
            lock.acquire()
            break
        except RunLockedError:
            time.sleep(0.5)
    try:
        yield
    finally:
        lock.release()


def failed(record: RunRecord | None, state: JobState | None) -> bool:
    """Return whether a run that is not done failed, rather than never began or was interrupted."""
    return (record is not None and record.status == "failed") or (state is not None and state.word == "failed")


def in_order(plan: StudyPlan, run_ids: Sequence[str]) -> list[dict[tuple[str, ...], list[str]]]:
    """Return runs in rounds: each run comes after those of `run_ids` that it needs.

    A round has a list for each set of runs that are needed: what one array of jobs can wait for.
    """
    rounds, left = [], list(run_ids)
    while left:
        groups: dict[tuple[str, ...], list[str]] = {}
        for run_id in left:
            if not set(left).intersection(needs := plan.runs[run_id].needs):
                groups.setdefault(needs, []).append(run_id)
        rounds.append(groups)
        made = {run_id for group in groups.values() for run_id in group}
        left = [run_id for run_id in left if run_id not in made]
    return rounds


@dataclass(frozen=True)
class _Submitter:
    """Submits runs of a plan, those that others need before them."""

    store: Store
    plan: StudyPlan
    cluster: ClusterConfig
    name: str
    fresh: bool
    parallel: int | None
    on_event: OnEvent

    def all(self, run_ids: Sequence[str], jobs: dict[str, str]) -> None:
        """Submit runs; `jobs` has the job of each run that is on its way, and takes in theirs."""
        snapshot, largest = take_snapshot(self.store), slurm_command.max_array_size()
        for groups in in_order(self.plan, run_ids):
            arrays = [(needs, array) for needs, group in groups.items() for array in chunks(group, largest)]
            limit = self.parallel or self.cluster.max_parallel
            # arrays go side by side, so each has its part of what may go at once
            share = max(1, limit // len(arrays)) if limit is not None else None
            for needs, array in arrays:
                jobs |= self._array(array, snapshot, share, [jobs[need] for need in needs if need in jobs])

    def _array(self, array: list[str], snapshot: Path, share: int | None, after: Sequence[str]) -> dict[str, str]:
        """Submit one array, which waits for the jobs `after`; return the job of each of its runs."""
        if self.fresh:
            _forget(self.store, array)
        submission = ledger.plan_submission(self.store, self.plan, array, snapshot, self.name)
        try:
            resources = self.plan.profile.resources
            job_id = submit_array(self.store, submission, resources, self.cluster, share, after)
        except UnclearAnswerError:
            raise  # the ledger says `planned`, so the next controller looks for the jobs
        except LaunchError as error:
            ledger.save(self.store, submission, status="void", reason=str(error))
            raise
        submission = ledger.save(self.store, submission, status="submitted", job_id=job_id)
        jobs = {run_id: element for run_id in array if (element := submission.element(run_id)) is not None}
        for run_id, job in jobs.items():
            self.on_event(RunEvent(kind="queued", run_id=run_id, place=f"job {job}"))
        return jobs


def _forget(store: Store, run_ids: Iterable[str]) -> None:
    """Remove what is stored of runs that are to begin again."""
    for run_id in run_ids:
        lock = RunLock(store.lock_path(run_id))
        lock.acquire()
        try:
            for path in store.run_dir(run_id).iterdir():
                if path.is_dir():
                    shutil.rmtree(path)
                elif not path.name.startswith(store.lock_path(run_id).name):
                    path.unlink()
        finally:
            lock.release()
