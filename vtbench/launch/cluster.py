"""Runs of a plan on a cluster: submit what is missing, join what is on its way, and watch until all have ended.

A controller may die at any moment, and several may work at one study. What is submitted is decided under a lock, from
the store and the ledger alone, so the next controller finds every job and submits nothing twice.
"""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

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
        states = job_states(store, plan.runs)
        if unsure := [state for state in states.values() if state.word == "unknown"]:
            raise LaunchError(
                f"Slurm does not answer, so nobody can tell whether {len(unsure)} jobs are still there. Nothing was"
                " submitted; try again."
            )
        missing, joined = [], []
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
            _submit(store, plan, cluster, name, missing, fresh, parallel, on_event)
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


def _submit(
    store: Store,
    plan: StudyPlan,
    cluster: ClusterConfig,
    name: str,
    run_ids: list[str],
    fresh: bool,
    parallel: int | None,
    on_event: OnEvent,
) -> None:
    snapshot = take_snapshot(store)
    arrays = chunks(run_ids, slurm_command.max_array_size())
    limit = parallel or cluster.max_parallel
    for array in arrays:
        if fresh:
            _forget(store, array)
        submission = ledger.plan_submission(store, plan, array, snapshot, name)
        # arrays go side by side, so each has its part of what may go at once
        share = max(1, limit // len(arrays)) if limit is not None else None
        try:
            job_id = submit_array(store, submission, plan.profile.resources, cluster, share)
        except UnclearAnswerError:
            raise  # the ledger says `planned`, so the next controller looks for the jobs
        except LaunchError as error:
            ledger.save(store, submission, status="void", reason=str(error))
            raise
        submission = ledger.save(store, submission, status="submitted", job_id=job_id)
        for run_id in array:
            on_event(RunEvent(kind="queued", run_id=run_id, place=f"job {submission.element(run_id)}"))


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
