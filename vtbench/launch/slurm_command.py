"""Slurm's own commands: what it knows of jobs, and ending them. Needs neither accounting nor a Python package."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from vtbench.errors import LaunchError

TIMEOUT_SECONDS = 60.0
LEAKING = ("SLURM_", "SLURMD_", "SRUN_", "SBATCH_", "SUBMITIT_")
KEPT = ("SLURM_CONF", "SLURM_CONF_SERVER", "SLURM_JWT", "SLURM_TIME_FORMAT")
"""Of the variables that begin so, those that say where Slurm is; all others describe the job that one sits in."""

PENDING = frozenset({"PENDING", "REQUEUED", "REQUEUE_HOLD", "REQUEUE_FED", "SPECIAL_EXIT", "RESV_DEL_HOLD"})
RUNNING = frozenset(
    {"RUNNING", "COMPLETING", "CONFIGURING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING"}
)


@dataclass(frozen=True)
class SlurmJob:
    """What Slurm says of one job or one element of an array."""

    job_id: str
    name: str
    state: str
    reason: str
    node: str

    @property
    def active(self) -> bool:
        """Whether it waits or runs."""
        return self.state in PENDING or self.state in RUNNING


def environment() -> dict[str, str]:
    """Return this process' environment without what a surrounding job or `torchrun` has left in it."""
    ranks = ("MASTER_ADDR", "MASTER_PORT", "RANK", "WORLD_SIZE", "LOCAL_RANK", "LOCAL_WORLD_SIZE")
    return {
        name: value
        for name, value in os.environ.items()
        if (not name.startswith(LEAKING) or name in KEPT) and name not in ranks
    }


@contextmanager
def clean_environment(*more: str) -> Iterator[None]:
    """Have this process see `environment()` alone, and not the variables `more`, while inside.

    Like `submitit.helpers.clean_env`, which also takes away the variables that say where Slurm is.
    """
    before = dict(os.environ)
    kept = environment()
    for name in [*(name for name in before if name not in kept), *more]:
        os.environ.pop(name, None)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def call(*command: str) -> str:
    """Return what a command of Slurm prints.

    Raises:
        LaunchError: it is not installed, fails, or does not answer; the message has what it says.
    """
    return _run(command).stdout


def call_for_notice(*command: str) -> str:
    """Return what a command of Slurm says on standard error; see `call`."""
    return _run(command).stderr.strip()


def _run(command: tuple[str, ...]) -> subprocess.CompletedProcess[str]:
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, check=False, timeout=TIMEOUT_SECONDS, env=environment()
        )
    except FileNotFoundError as error:
        raise LaunchError(
            f"There is no `{command[0]}` here: this machine is not part of a Slurm cluster. Log in to one, or leave"
            " --cluster out to run on this machine."
        ) from error
    except subprocess.TimeoutExpired as error:
        raise LaunchError(f"`{command[0]}` has not answered for {TIMEOUT_SECONDS:g} s. Is slurmctld up?") from error
    if done.returncode != 0:
        raise LaunchError(f"`{' '.join(command[:3])}` failed: {done.stderr.strip() or done.stdout.strip()}")
    return done


def jobs_named(names: Iterable[str]) -> list[SlurmJob]:
    """Return what Slurm still knows of the jobs of these names: those that wait or run, and those just ended.

    Raises:
        LaunchError: Slurm does not answer.
    """
    wanted = sorted(names)
    if not wanted:
        return []
    text = call(
        "squeue", "--noheader", "--array", "--states=all", f"--name={','.join(wanted)}", "--format=%i|%j|%T|%r|%N"
    )
    return [SlurmJob(*line.split("|", 4)) for line in text.splitlines() if line.count("|") >= 4]


def accounted(job_ids: Iterable[str]) -> list[SlurmJob]:
    """Return what the accounting knows of jobs that Slurm itself has forgotten; nothing where there is none."""
    wanted = sorted(job_ids)
    if not wanted or shutil.which("sacct") is None:
        return []
    try:
        text = call("sacct", "--noheader", "-P", "-X", "-j", ",".join(wanted), "-o", "JobID,JobName,State,NodeList")
    except LaunchError:  # most often: accounting is switched off
        return []
    rows = [line.split("|") for line in text.splitlines() if line.count("|") == 3]
    return [SlurmJob(row[0], row[1], row[2].split()[0], "", row[3]) for row in rows if row[2]]


def state_and_restarts(job_id: str) -> tuple[str, int]:
    """Return the state of a job that runs or is being ended, for example `RUNNING`, and how often it was requeued.

    Raises:
        LaunchError: Slurm does not answer or does not know the job.
    """
    fields = dict(re.findall(r"(JobState|Restarts)=(\w+)", call("scontrol", "show", "job", "--oneliner", job_id)))
    return fields.get("JobState", "UNKNOWN"), int(fields.get("Restarts", 0))


def cancel(job_ids: Iterable[str]) -> None:
    """End jobs; those that have ended already are no error.

    Raises:
        LaunchError: Slurm does not answer.
    """
    wanted = list(job_ids)
    for first in range(0, len(wanted), 500):  # command lines have a longest length
        call("scancel", *wanted[first : first + 500])


def max_array_size() -> int:
    """Return how many jobs an array may have.

    Raises:
        LaunchError: Slurm does not answer.
    """
    found = re.search(r"^MaxArraySize\s*=\s*(\d+)", call("scontrol", "show", "config"), re.MULTILINE)
    return int(found[1]) if found else 1001


def address_of(node: str) -> str:
    """Return the network address of a node; its name where Slurm has no other.

    Raises:
        LaunchError: Slurm does not answer or does not know the node.
    """
    found = re.search(r"NodeAddr=(\S+)", call("scontrol", "show", "node", node))
    return found[1] if found else node
