"""Slots: how many runs this machine takes at once, and which threads and GPUs each of them has.

Small models gain little from a second thread and much from a second process: where a profile says how many threads a
run takes, as many runs go at once as the cores hold. Otherwise a run has all cores, and runs go one after another: two
processes that each want all cores are far slower together. On GPUs each run has its own.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from vtbench.schema.study import ResourceConfig

MAX_SLOTS = 4
"""Most runs at once on a CPU unless `--jobs` says more: each takes about a gigabyte."""

_ALLOCATOR = {
    # glibc gives large blocks back to the kernel at each step and faults them in again; keeping them is four times as
    # fast
    "MALLOC_MMAP_THRESHOLD_": "4294967296",
    "MALLOC_TRIM_THRESHOLD_": "8589934592",
    "MALLOC_TOP_PAD_": "268435456",
}


@dataclass(frozen=True)
class Slot:
    """A run's share of this machine.

    Attributes:
        num_cores: cores that it may use.
        gpus: as `CUDA_VISIBLE_DEVICES` names them; empty means that nothing is said of GPUs.
    """

    num_cores: int
    gpus: tuple[str, ...] = ()


def make_slots(resources: ResourceConfig, jobs: int | None = None) -> list[Slot]:
    """Return the slots of this machine for runs of a profile: at least one.

    Args:
        resources: what a run needs.
        jobs: most runs at once; None means as many as fit. On GPUs never more than the GPUs hold.
    """
    if resources.device != "cpu":
        each, gpus = max(resources.num_gpus, 1), visible_gpus()
        number = max(1, len(gpus) // each)
        number = min(number, jobs or number)
        return [Slot(max(1, cores() // number), gpus[each * n : each * (n + 1)]) for n in range(number)]
    if jobs is None:
        fits = 1 if resources.num_threads is None else cores() // resources.num_threads
        jobs = max(1, min(fits, MAX_SLOTS))
    return [Slot(max(1, cores() // jobs))] * jobs


def worker_environment(resources: ResourceConfig, slot: Slot | None = None) -> dict[str, str]:
    """Return the environment of a worker in a slot: this process' own, with what training on CPUs wants.

    A number of threads that the profile fixes stands above the environment's: results depend on it.
    """
    num_cores = slot.num_cores if slot is not None else cores()
    gpus = {"CUDA_VISIBLE_DEVICES": ",".join(slot.gpus)} if slot is not None and slot.gpus else {}
    if resources.num_threads is not None:
        return {**_ALLOCATOR, **os.environ, **gpus, "OMP_NUM_THREADS": str(resources.num_threads)}
    return {**_ALLOCATOR, "OMP_NUM_THREADS": str(num_cores), **os.environ, **gpus}


def visible_gpus() -> tuple[str, ...]:
    """Return the GPUs that this process may use, as `CUDA_VISIBLE_DEVICES` names them; without importing torch."""
    if (named := os.environ.get("CUDA_VISIBLE_DEVICES")) is not None:
        return tuple(name.strip() for name in named.split(",") if name.strip() and name.strip() != "-1")
    if shutil.which("nvidia-smi") is None:
        return ()
    listed = subprocess.run(["nvidia-smi", "--list-gpus"], capture_output=True, text=True, check=False, timeout=60)
    return tuple(str(number) for number in range(_count(listed.stdout.splitlines())))


def _count(lines: Sequence[str]) -> int:
    return sum(line.startswith("GPU ") for line in lines)


def cores() -> int:
    """Return how many cores this process may use."""
    return len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
