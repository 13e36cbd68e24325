"""Jobs for Slurm by way of submitit: the only place that knows submitit.

What it does about submitit's habits (1.5): the payload is a module-level class with a `checkpoint` method, which alone
is looked for; any number of time-outs is allowed, because jobs of ten minutes or less always count as timed out, and
`launch.job` gives up by itself when nothing is gained; the folder's name has no pattern; a job that was told to stop
is requeued from the main program, after its worker has saved; one rank's failure ends the others.
"""

from __future__ import annotations

import io
import os
import re
import shlex
import signal
import socket
from collections.abc import Sequence
from contextlib import redirect_stderr
from dataclasses import dataclass
from typing import Any

import submitit
from submitit.core.job_environment import JobEnvironment
from submitit.core.utils import DelayedSubmission, FailedJobError, FailedSubmissionError, JobPaths
from submitit.helpers import TorchDistributedEnvironment

from vtbench.errors import LaunchError
from vtbench.launch import slurm_command
from vtbench.launch.job import Job, work
from vtbench.launch.ledger import Submission, folder
from vtbench.schema.cluster import ClusterConfig
from vtbench.schema.study import ResourceConfig
from vtbench.store.layout import Store

DEFAULT_MINUTES = 60
DEFAULT_SIGNAL_SECONDS = 120
UNLIMITED = 10**9
_OWN = ("OMP_NUM_THREADS", "PYTHONHOME", "PYTHONSTARTUP")
"""Variables of the submitting shell that would decide how a job computes."""


_UNCLEAR = re.compile(r"timed? ?out|unable to contact|zero bytes", re.IGNORECASE)
"""What `sbatch` says when it cannot know whether the controller took the jobs."""


class UnclearAnswerError(LaunchError):
    """Nobody can tell from what `sbatch` said whether there are jobs now; Slurm must be asked for them by name."""


@dataclass(frozen=True)
class SlurmRun:
    """What submitit pickles and calls in each rank of a job."""

    job: Job

    def __call__(self) -> None:
        """Make the run, or as much of it as the job's time allows."""
        environment = JobEnvironment()
        if environment.num_tasks > 1:
            _export_ranks()
        handler = _submitit_handler()
        work(self.job, environment.job_id, environment.global_rank, handler)

    def checkpoint(self) -> DelayedSubmission:
        """Return what the requeued job calls: the same, for all state lies in the store."""
        return DelayedSubmission(self)


def submit_array(
    store: Store,
    submission: Submission,
    resources: ResourceConfig,
    cluster: ClusterConfig,
    parallel: int | None,
    after: Sequence[str] = (),
) -> str:
    """Submit a job for each run of a submission by one call of `sbatch`, and return Slurm's number of the array.

    Args:
        store: where runs lie.
        submission: entered in the ledger.
        resources: of one run.
        cluster: options, the profile's and the cluster file's together.
        parallel: most of these jobs at once.
        after: jobs that must have ended well before these begin; where one has not, Slurm cancels these.

    Raises:
        UnclearAnswerError: the jobs may be there or not.
        LaunchError: Slurm refused; the message has its words.
    """
    jobs = [
        SlurmRun(
            Job(
                root=str(store.root.resolve()),
                name=submission.name,
                run_id=run_id,
                resources=resources,
                minutes=job_minutes(resources, cluster),
                signal_seconds=signal_seconds(resources, cluster),
            )
        )
        for run_id in submission.run_ids
    ]
    executor = _executor(store, submission, resources, cluster, parallel, after)
    said = io.StringIO()
    try:
        with slurm_command.clean_environment(*_OWN), redirect_stderr(said):
            submitted = executor.submit_array(jobs)
    except FailedJobError as error:
        if not _UNCLEAR.search(str(error)):
            raise LaunchError(f"Slurm refused the jobs: {_last_line(str(error))}") from error
        raise UnclearAnswerError(_unclear(error)) from error
    except FailedSubmissionError as error:
        raise UnclearAnswerError(_unclear(error)) from error
    return str(submitted[0].job_id).partition("_")[0]


def has_pickles(store: Store, submission: Submission, job_id: str) -> bool:
    """Return whether all that the jobs of a submission call has been written; without it they can do nothing."""
    number = len(submission.run_ids)
    ids = [job_id] if number == 1 else [f"{job_id}_{index}" for index in range(number)]
    where = folder(store, submission.name).resolve()
    return all(JobPaths(where, job_id=each).submitted_pickle.exists() for each in ids)


def job_minutes(resources: ResourceConfig, cluster: ClusterConfig) -> int:
    """Return the time limit of a job, in minutes."""
    return resources.minutes or cluster.minutes or DEFAULT_MINUTES


def signal_seconds(resources: ResourceConfig, cluster: ClusterConfig) -> int:
    """Return how long before its time limit a job is told: a quarter of the limit at most, or it starts with that."""
    wanted = cluster.signal_seconds or DEFAULT_SIGNAL_SECONDS
    return min(wanted, job_minutes(resources, cluster) * 60 // 4)


def parameters(resources: ResourceConfig, cluster: ClusterConfig, snapshot: str) -> dict[str, Any]:
    """Return what submitit is told about a job.

    Args:
        resources: of one run.
        cluster: options, the profile's and the cluster file's together.
        snapshot: folder of the code.
    """
    memory = resources.memory_gb or cluster.memory_gb
    known = {
        "partition": cluster.partition,
        "account": cluster.account,
        "qos": cluster.qos,
        "constraint": cluster.constraint,
        "nodes": resources.num_nodes,
        "ntasks_per_node": resources.ranks_per_node,
        "cpus_per_task": resources.num_cpus or resources.num_threads or cluster.num_cpus,
        "gpus_per_node": resources.num_gpus // resources.num_nodes or None,
        "mem": f"{round(memory * 1024)}M" if memory is not None else None,
    }
    return {
        **{name: value for name, value in known.items() if value is not None},
        "time": job_minutes(resources, cluster),
        "signal_delay_s": signal_seconds(resources, cluster),
        "srun_args": ["--kill-on-bad-exit=1"],
        "setup": _setup(cluster, snapshot),
        "stderr_to_stdout": True,
        "wckey": None,
        "additional_parameters": {"requeue": True, **cluster.sbatch},
    }


def start_estimate(store: Store, resources: ResourceConfig, cluster: ClusterConfig) -> str:
    """Return what `sbatch --test-only` says of one job: when and where it would start; nothing is submitted.

    Raises:
        LaunchError: Slurm would refuse the job, or is not there.
    """
    script = store.jobs_dir / "test-only.sh"
    executor = submitit.SlurmExecutor(store.jobs_dir.resolve())
    executor.update_parameters(**parameters(resources, cluster, ""), job_name="vtbench-test")
    script.parent.mkdir(parents=True, exist_ok=True)
    script.write_text(executor._make_submission_file_text("true", ""))
    try:
        with slurm_command.clean_environment(*_OWN):
            return slurm_command.call_for_notice("sbatch", "--test-only", str(script))
    finally:
        script.unlink()


def _executor(
    store: Store,
    submission: Submission,
    resources: ResourceConfig,
    cluster: ClusterConfig,
    parallel: int | None,
    after: Sequence[str],
) -> submitit.SlurmExecutor:
    where = folder(store, submission.name).resolve()
    executor = submitit.SlurmExecutor(where, max_num_timeout=UNLIMITED, python=cluster.python)
    known = parameters(resources, cluster, submission.snapshot)
    if after:
        waits = {"dependency": f"afterok:{':'.join(after)}", "kill-on-invalid-dep": "yes"}
        known["additional_parameters"] = {**known["additional_parameters"], **waits}
    executor.update_parameters(
        **known,
        job_name=submission.name,
        comment=submission.plan_id,
        array_parallelism=parallel or len(submission.run_ids),
    )
    return executor


def _setup(cluster: ClusterConfig, snapshot: str) -> list[str]:
    """Return the lines of shell before `srun`."""
    return [
        # the copy of the code comes before an installed one, and the current folder, where the tree may lie, nowhere
        f"export PYTHONPATH={shlex.quote(snapshot)}${{PYTHONPATH:+:$PYTHONPATH}}",
        "export PYTHONSAFEPATH=1",
        # since 22.05 srun does not take it from sbatch
        '[ -z "$SLURM_CPUS_PER_TASK" ] || export SRUN_CPUS_PER_TASK=$SLURM_CPUS_PER_TASK',
        *cluster.setup,
    ]


def _submitit_handler() -> Any:
    """Return what submitit would do upon USR2: write the next payload, requeue, and exit."""
    return signal.getsignal(signal.SIGUSR2)


def _export_ranks() -> None:
    """Export what torch needs to connect the ranks of a job."""
    found = TorchDistributedEnvironment().export(set_cuda_visible_devices=False, overwrite=True)
    try:
        socket.getaddrinfo(found.master_addr, None)
    except OSError:  # a node's name need not be a host's
        os.environ["MASTER_ADDR"] = slurm_command.address_of(found.master_addr)


def _unclear(error: Exception) -> str:
    return (
        f"sbatch did not say clearly whether it submitted the jobs ({_last_line(str(error))}). Run the same command"
        " again; it looks for them first."
    )


def _last_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return "; ".join(lines[-2:]) if lines else "sbatch gave no reason"
