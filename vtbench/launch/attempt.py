"""What a job leaves about each time it worked at a run: the exit file, which needs no accounting in Slurm.

`<root>/jobs/<name>/attempts/<run_id>.<rank>.json` holds the attempts of one rank, the last one without an end while it
goes on. A rank that fails ends the others at once, so each writes its own.
"""

from __future__ import annotations

from pathlib import Path

from pydantic import ValidationError

from vtbench.errors import StoreError
from vtbench.launch.ledger import folder
from vtbench.schema.base import Frozen
from vtbench.store.files import read_text, write_atomic
from vtbench.store.layout import Store
from vtbench.store.query import dump


class Attempt(Frozen):
    """One time a job worked at a run.

    Attributes:
        job_id: Slurm's.
        host: where.
        pid: of the job's process, which watches the worker.
        started: seconds since the epoch.
        ended: likewise; None while it goes on, and for ever if the job was killed.
        code: the worker's exit code, negative for the signal that killed it.
        requeued: it was stopped and the job was put back into the queue.
        cause: why it failed.
        reached: how far the run was at the end; the same text twice means that nothing was gained.
    """

    job_id: str
    host: str
    pid: int
    started: float
    ended: float | None = None
    code: int | None = None
    requeued: bool = False
    cause: str | None = None
    reached: str = ""


class Attempts(Frozen):
    """The attempts of one rank at a run, in order."""

    attempts: tuple[Attempt, ...] = ()


def load_attempts(store: Store, name: str, run_id: str, rank: int = 0) -> tuple[Attempt, ...]:
    """Return the attempts of a rank of submission `name` at a run; empty if it has not begun.

    Raises:
        StoreError: the file is broken.
    """
    path = _path(store, name, run_id, rank)
    if not path.exists():
        return ()
    try:
        return Attempts.model_validate_json(read_text(path)).attempts
    except ValidationError as error:
        raise StoreError(f"{path}: these are no attempts ({error.errors()[0]['msg']}). Delete the file.") from error


def save_attempts(store: Store, name: str, run_id: str, attempts: tuple[Attempt, ...], rank: int = 0) -> None:
    """Write the attempts of a rank, on disk at once."""
    write_atomic(_path(store, name, run_id, rank), dump(Attempts(attempts=attempts)))


def failed_rank(store: Store, name: str, run_id: str, num_ranks: int) -> tuple[int, Attempt] | None:
    """Return the rank above 0 that failed first in the present attempt, with that attempt; None if none did."""
    found = []
    for rank in range(1, num_ranks):
        attempts = load_attempts(store, name, run_id, rank)
        if attempts and attempts[-1].cause is not None:
            found.append((attempts[-1].ended or 0.0, rank, attempts[-1]))
    if not found:
        return None
    _, rank, attempt = min(found, key=lambda each: each[:2])
    return rank, attempt


def reached(store: Store, run_id: str) -> str:
    """Return how far a run is, as text that changes whenever something is gained that a killed run keeps."""
    checkpoints = sorted(path.name for path in store.checkpoint_dir(run_id).glob("step-*.pt"))
    record = store.record_path(run_id)
    measured = sum(1 for _ in store.measured_dir(run_id).rglob("*.npy"))
    done = record.read_text().count('"done"') if record.exists() else 0
    return f"{checkpoints[-1] if checkpoints else 'nothing'}, {done} stages, {measured} measured"


def _path(store: Store, name: str, run_id: str, rank: int) -> Path:
    return folder(store, name) / "attempts" / f"{run_id}.{rank}.json"
