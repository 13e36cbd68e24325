"""Which runs were handed to a cluster, in which jobs: written before `sbatch` and again after it.

A submission is an array of jobs, one for each run, with a folder of its own under `<root>/jobs/`. Its name is also
the jobs' name in Slurm, so that a controller that finds a submission without a job id (the one before it was killed
between the two writes) can ask Slurm whether the jobs exist.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Literal

from pydantic import ValidationError

from vtbench.errors import StoreError
from vtbench.schema.base import Frozen
from vtbench.schema.study import StudyPlan
from vtbench.store.files import read_text, write_atomic
from vtbench.store.layout import Store
from vtbench.store.query import dump

FILE = "submission.json"


class Submission(Frozen):
    """An array of jobs.

    Attributes:
        name: of its folder, and of its jobs in Slurm.
        plan_id: the plan whose runs they are.
        run_ids: the run of each element, in order.
        snapshot: folder of the code that they run.
        created: seconds since the epoch.
        host: which machine submitted it.
        pid: which process.
        status: `planned` before `sbatch`, `submitted` after it, `void` when nothing came of it.
        job_id: Slurm's number of the array, or of the job if there is one run.
        cluster: as named on the command line.
        num_ranks: how many processes make one run.
        reason: why it is void.
    """

    name: str
    plan_id: str
    run_ids: tuple[str, ...]
    snapshot: str
    created: float
    host: str
    pid: int
    status: Literal["planned", "submitted", "void"] = "planned"
    job_id: str | None = None
    cluster: str = "slurm"
    num_ranks: int = 1
    reason: str | None = None

    def element(self, run_id: str) -> str | None:
        """Return the job that makes `run_id`, as Slurm writes it: `12_3`, or `12` where there is one run."""
        if self.job_id is None:
            return None
        return self.job_id if len(self.run_ids) == 1 else f"{self.job_id}_{self.run_ids.index(run_id)}"


def plan_submission(
    store: Store, plan: StudyPlan, run_ids: Sequence[str], snapshot: Path, cluster: str = "slurm"
) -> Submission:
    """Enter a submission that is about to be made, with a copy of that part of the plan which its jobs read."""
    resources, mine = plan.profile.resources, set(run_ids)
    name = f"{plan.study.name}-{time.strftime('%m%d-%H%M%S')}-{secrets.token_hex(3)}"
    submission = Submission(
        name=name,
        plan_id=plan.id,
        run_ids=tuple(run_ids),
        snapshot=str(snapshot),
        created=time.time(),
        host=socket.gethostname(),
        pid=os.getpid(),
        cluster=cluster,
        num_ranks=resources.ranks_per_node * resources.num_nodes,
    )
    part = {
        "cells": tuple(cell for cell in plan.cells if cell.run_id in mine),
        "runs": {run_id: spec for run_id, spec in plan.runs.items() if run_id in mine},
    }
    write_atomic(plan_file(store, name), dump(plan.model_copy(update=part)))
    return save(store, submission)


def save(store: Store, submission: Submission, **changes: object) -> Submission:
    """Write a submission with some fields changed, on disk at once, and return it."""
    changed = Submission.model_validate({**dict(submission), **changes})
    write_atomic(folder(store, changed.name) / FILE, dump(changed))
    return changed


def folder(store: Store, name: str) -> Path:
    """Return the folder of the submission `name`."""
    return store.jobs_dir / name


def plan_file(store: Store, name: str) -> Path:
    """Return the plan that the jobs of a submission read."""
    return folder(store, name) / "plan.json"


def submissions(store: Store) -> list[Submission]:
    """Return all submissions that are not void, oldest first.

    Raises:
        StoreError: one of the files is broken.
    """
    found = [load(path) for path in store.jobs_dir.glob(f"*/{FILE}")]
    return sorted((each for each in found if each.status != "void"), key=lambda each: (each.created, each.name))


def load(path: Path) -> Submission:
    """Return the submission that a file holds.

    Raises:
        StoreError: the file is broken.
    """
    try:
        return Submission.model_validate_json(json.dumps(json.loads(read_text(path))))
    except (ValidationError, json.JSONDecodeError) as error:
        raise StoreError(
            f"{path}: this is no submission ({str(error).splitlines()[0]}). End the jobs named"
            f" {path.parent.name}, if there are any (`scancel --name={path.parent.name}`), and delete that folder."
        ) from error


def latest(submitted: Iterable[Submission]) -> dict[str, Submission]:
    """Return the newest submission of each run; `submitted` is in order."""
    return {run_id: submission for submission in submitted for run_id in submission.run_ids}
