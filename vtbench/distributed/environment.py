"""Which process of a run this is, from the variables that launchers export.

`torchrun` and submitit export RANK, WORLD_SIZE, LOCAL_RANK, MASTER_ADDR and MASTER_PORT. Where they are missing, those
of a Slurm job step (`srun`) are read; a batch script, which is no job step, is alone whatever its allocation says.
"""

from __future__ import annotations

import os
import re

_FIRST_PORT, _NUM_PORTS = 10_000, 20_000  # below those that systems give to outgoing connections (Linux: 32768 and up)


def rank() -> int:
    """Return this process's rank, 0 when alone."""
    return _number("RANK", "SLURM_PROCID", 0)


def world_size() -> int:
    """Return the number of processes of this run, 1 when alone."""
    return _number("WORLD_SIZE", "SLURM_STEP_NUM_TASKS", 1)


def local_rank() -> int:
    """Return this process's number among those of its machine, 0 when alone."""
    return _number("LOCAL_RANK", "SLURM_LOCALID", 0)


def is_main() -> bool:
    """Return whether this process is the one that writes records."""
    return rank() == 0


def rendezvous() -> tuple[str, int]:
    """Return host and port at which the processes meet: the launcher's, or under Slurm the step's first machine.

    The port under Slurm is a function of job and step, so that steps that share a machine do not meet each other.
    """
    nodes = os.environ.get("SLURM_STEP_NODELIST", "localhost")
    step = int(os.environ.get("SLURM_JOB_ID", "0")) * 31 + int(os.environ.get("SLURM_STEP_ID", "0"))
    host = os.environ.get("MASTER_ADDR") or first_host(nodes)
    return host, int(os.environ.get("MASTER_PORT") or _FIRST_PORT + step % _NUM_PORTS)


def first_host(nodes: str) -> str:
    """Return the first name of a Slurm node list: `a[03-07,9],b` begins with `a03`."""
    match = re.match(r"([^\[,]*)(?:\[([^\],-]+)[^\]]*\])?([^,]*)", nodes)
    return "".join(part or "" for part in match.groups()) if match else nodes


def attempt() -> str:
    """Return what tells this start of the processes from an earlier one that met at the same place."""
    return os.environ.get("TORCHELASTIC_RESTART_COUNT", "0")


def launcher_keeps_store() -> bool:
    """Return whether the launcher (torchrun) itself serves the store at which the processes meet."""
    return os.environ.get("TORCHELASTIC_USE_AGENT_STORE") == "True"


def _number(name: str, of_slurm: str, alone: int) -> int:
    if name in os.environ:
        return int(os.environ[name])
    if "WORLD_SIZE" not in os.environ and "SLURM_STEP_NUM_TASKS" in os.environ:
        return int(os.environ.get(of_slurm, alone))
    return alone
