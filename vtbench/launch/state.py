"""Where the runs on a cluster are, without accounting.

What runs leave in the store counts first: records, exit files, locks with a heartbeat. Only for what these do not
settle is Slurm asked, once for all jobs; and only what Slurm has forgotten is looked up in the accounting, where there
is one. While Slurm does not answer, nothing is taken for lost.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

from vtbench.errors import LaunchError
from vtbench.launch import ledger, slurm_command
from vtbench.launch.attempt import Attempt, failed_rank, load_attempts
from vtbench.launch.ledger import Submission
from vtbench.launch.slurm_command import PENDING, SlurmJob
from vtbench.store.layout import Store
from vtbench.store.lock import live_holder

Word = Literal["queued", "running", "done", "failed", "unknown"]

CAUSES = {
    "TIMEOUT": "Slurm ended the job at its time limit before it could save",
    "NODE_FAIL": "the node failed",
    "BOOT_FAIL": "the node failed to boot",
    "OUT_OF_MEMORY": "out of memory: the job used more than it asked for (resources.memory_gb)",
    "CANCELLED": "cancelled",
    "PREEMPTED": "preempted, and not queued again",
    "DEADLINE": "its deadline passed",
    "REVOKED": "revoked",
}


@dataclass(frozen=True)
class JobState:
    """Where a run's job is.

    Attributes:
        run_id: the run.
        word: `done` and `failed` are final; `unknown` means that Slurm does not answer.
        job_id: Slurm's, if it is known.
        node: where it runs or ran.
        reason: why it waits or failed.
        num_attempts: how often it has begun.
    """

    run_id: str
    word: Word
    job_id: str | None = None
    node: str | None = None
    reason: str | None = None
    num_attempts: int = 0

    @property
    def active(self) -> bool:
        """Whether the job may still make the run, so that another must not be submitted."""
        return self.word in ("queued", "running", "unknown")


def job_states(store: Store, run_ids: Iterable[str], ask: bool = True) -> dict[str, JobState]:
    """Return where the jobs of runs are; runs that were never submitted are left out.

    Args:
        store: where runs lie.
        run_ids: which.
        ask: whether Slurm may be asked; without it what the store does not settle is `unknown`.
    """
    newest = ledger.latest(ledger.submissions(store))
    submitted = {run_id: newest[run_id] for run_id in run_ids if run_id in newest}
    return states_of(store, submitted, None if ask else {})


def states_of(
    store: Store, submitted: Mapping[str, Submission], jobs: Mapping[str, SlurmJob] | None = None
) -> dict[str, JobState]:
    """Return where the jobs of runs are.

    Args:
        store: where runs lie.
        submitted: run id -> its newest submission.
        jobs: what Slurm has said, by job id; None: ask it if need be; empty: it does not answer.
    """
    found = {run_id: from_files(store, run_id, submission) for run_id, submission in submitted.items()}
    open_ids = [run_id for run_id, state in found.items() if state is None]
    if open_ids and jobs is None:
        jobs = ask_slurm([submitted[run_id] for run_id in open_ids])
    return {
        run_id: state if state is not None else from_slurm(store, run_id, submitted[run_id], jobs)
        for run_id, state in found.items()
    }


def ask_slurm(submitted: Sequence[Submission]) -> dict[str, SlurmJob] | None:
    """Return what Slurm knows of the jobs of submissions, by job id; None if it does not answer."""
    names = {submission.name for submission in submitted}
    try:
        jobs = {job.job_id: job for job in slurm_command.jobs_named(names)}
    except LaunchError:
        return None
    known = {job_id.partition("_")[0] for job_id in jobs}
    forgotten = {each.job_id for each in submitted if each.job_id is not None and each.job_id not in known}
    return {**{job.job_id: job for job in slurm_command.accounted(forgotten)}, **jobs}


def from_files(store: Store, run_id: str, submission: Submission) -> JobState | None:
    """Return what the store alone tells of a run's job; None if it leaves it open."""
    attempts = load_attempts(store, submission.name, run_id)
    job_id, number = submission.element(run_id), len(attempts)
    if attempts and (ended := _ended(attempts[-1])):
        word, reason = ended
        return JobState(run_id, word, job_id, attempts[-1].host, reason, number)
    if attempts and attempts[-1].ended is None and (holder := live_holder(store.lock_path(run_id))) is not None:
        return JobState(run_id, "running", job_id, holder.host, None, number)
    return None


def from_slurm(store: Store, run_id: str, submission: Submission, jobs: Mapping[str, SlurmJob] | None) -> JobState:
    """Return what Slurm says of a run's job; `jobs` is what `ask_slurm` returned."""
    attempts = load_attempts(store, submission.name, run_id)
    job_id, number = submission.element(run_id), len(attempts)
    node = attempts[-1].host if attempts else None
    if jobs is None or job_id is None:
        return JobState(run_id, "unknown", job_id, node, "Slurm does not answer", number)
    job = jobs.get(job_id)
    if job is not None and job.active:
        word: Word = "queued" if job.state in PENDING else "running"
        return JobState(run_id, word, job_id, job.node or None, _reason(job), number)
    # the first rank has left no word; what another left says more than Slurm does
    if (other := failed_rank(store, submission.name, run_id, submission.num_ranks)) is not None:
        rank, attempt = other
        return JobState(run_id, "failed", job_id, attempt.host, f"rank {rank}: {attempt.cause}", number)
    if job is None:
        reason = "the job is gone and left no word: killed with its node, or removed"
        return JobState(run_id, "failed", job_id, node, reason, number)
    reason = CAUSES.get(job.state) or _last_word(store, submission, job)
    return JobState(run_id, "failed", job_id, job.node or node, reason, number)


def _ended(attempt: Attempt) -> tuple[Word, str | None] | None:
    if attempt.code == 0:
        return "done", None
    return ("failed", attempt.cause) if attempt.cause is not None else None


def _reason(job: SlurmJob) -> str | None:
    return job.reason if job.reason not in ("", "None") else None


def _last_word(store: Store, submission: Submission, job: SlurmJob) -> str:
    """Return why a job failed that left no exit file, as far as its own output says."""
    path = ledger.folder(store, submission.name) / f"{job.job_id}_0_log.out"
    try:
        lines = path.read_text(errors="replace").splitlines()
    except OSError:
        lines = []
    said = next((line.strip() for line in reversed(lines) if line.strip()), "nothing")
    return f"the job ended ({job.state}) and left no word; the last that it printed: {said} (log: {path})"
