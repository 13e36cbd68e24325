"""What runs are doing, from their files: record, lock with its heartbeat, progress, logs.

A batch system is asked for nothing that the files say; where they are silent (a run that waits, a process that was
killed) its word for the run's job counts, if a caller has it (`Job`).
"""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from pydantic import ValidationError

from vtbench.errors import StoreError
from vtbench.schema.record import RunRecord
from vtbench.store.failure import Failure, classify, last_lines
from vtbench.store.layout import Store
from vtbench.store.lock import Holder, live_holder
from vtbench.store.outline import RecordFile, RecordHead, record_files
from vtbench.store.query import Progress, begun_runs, load_progress, load_versioned

StateName = Literal["running", "queued", "failed", "stopped", "broken", "interrupted", "not started", "done"]
ORDER: tuple[StateName, ...] = get_args(StateName)
"""States in the order in which a reader wants them."""

LIVE = frozenset({"running", "queued"})
TROUBLE = frozenset({"failed", "stopped", "broken"})
_LOSS_BYTES = 4096


@dataclass(frozen=True, kw_only=True)
class Job:
    """What a batch system says of the job of a run.

    Attributes:
        id: the system's name of it.
        state: where it is.
        node: machines that it is on, or was.
        reason: why it waits, or how it ended (`TIMEOUT`, `NODE_FAIL`).
    """

    id: str
    state: Literal["queued", "running", "ended"]
    node: str | None = None
    reason: str | None = None


JobSource = Callable[[Sequence[str]], Mapping[str, Job]]
"""Run ids -> their jobs, as far as a batch system knows of any."""


@dataclass(frozen=True, kw_only=True)
class RunState:
    """What one run is doing.

    Attributes:
        run_id: which run.
        state: `stopped` is a run whose process is gone without a word, `broken` one whose files cannot be read.
        stage, step, total: where it is, or was last; a finished run's `step` is its number of training steps.
        loss: the last one logged; None once the run is done.
        images_per_second: of training, while it trains.
        seconds_left: of the present stage, at the present rate.
        seconds_ago: since the run was last heard of.
        node: machine that it runs on.
        job: the batch system's name of its job.
        reason: why it waits or failed.
        failure: why it failed, sorted.
    """

    run_id: str
    state: StateName
    stage: str | None = None
    step: int | None = None
    total: int | None = None
    loss: float | None = None
    images_per_second: float | None = None
    seconds_left: float | None = None
    seconds_ago: float | None = None
    node: str | None = None
    job: str | None = None
    reason: str | None = None
    failure: Failure | None = field(default=None, repr=False)


def read_states(store: Store, run_ids: Iterable[str], jobs: JobSource | None = None) -> dict[str, RunState]:
    """Return the state of each run.

    Args:
        store: where runs lie.
        run_ids: which runs.
        jobs: asked once, for the runs that are not done.
    """
    now, begun = time.time(), begun_runs(store)
    asked = list(dict.fromkeys(run_ids))
    heads = {run_id: _head(store, run_id, file) for run_id, file in record_files(store, asked)}
    settled = ((run_id, _settled(run_id, head, now)) for run_id, head in heads.items())
    found = {run_id: state for run_id, state in settled if state is not None}
    open_runs = [run_id for run_id in asked if run_id not in found]
    known = jobs(open_runs) if jobs is not None and open_runs else {}
    for run_id in open_runs:
        if run_id in begun or run_id in known:
            found[run_id] = _open_state(store, run_id, heads.get(run_id), known.get(run_id), now)
        else:
            found[run_id] = RunState(run_id=run_id, state="not started")
    return {run_id: found[run_id] for run_id in asked}


def count_states(states: Iterable[RunState]) -> dict[StateName, int]:
    """Return how many runs are in each state, without those that none is in."""
    found = Counter(state.state for state in states)
    return {name: found[name] for name in ORDER if found[name]}


@dataclass(frozen=True)
class _Head:
    """What a record's file holds: its part that counts and when it was written, or what is wrong with it."""

    record: RecordHead | None
    changed: float = 0.0
    problem: str | None = None


def _head(store: Store, run_id: str, file: RecordFile) -> _Head:
    """Return the head of a record, or what is wrong with the file."""
    try:
        return _Head(RecordHead.model_validate_json(file.data), file.changed)
    except ValidationError as error:
        problem = f"{store.record_path(run_id)}: {error.errors()[0]['msg']}"
    try:
        load_versioned(store.record_path(run_id), RunRecord)
    except StoreError as error:
        problem = str(error)  # says where and how to mend it
    return _Head(None, problem=problem)


def _settled(run_id: str, head: _Head, now: float) -> RunState | None:
    """Return the state of a run whose record alone decides it."""
    if head.record is None:
        return RunState(run_id=run_id, state="broken", reason=head.problem)
    if head.record.status != "done":
        return None
    steps = max((stage.steps for stage in head.record.stages if stage.steps is not None), default=None)
    return RunState(run_id=run_id, state="done", step=steps, seconds_ago=max(0.0, now - head.changed))


def _open_state(store: Store, run_id: str, head: _Head | None, job: Job | None, now: float) -> RunState:
    holder = live_holder(store.lock_path(run_id))
    if holder is None and job is not None and job.state != "ended":
        return RunState(run_id=run_id, state=job.state, node=job.node, job=job.id, reason=job.reason)
    if head is None and holder is None and job is None:
        return RunState(run_id=run_id, state="not started")
    return _active(store, run_id, head or _Head(None), holder, job, now)


def _active(store: Store, run_id: str, head: _Head, holder: Holder | None, job: Job | None, now: float) -> RunState:
    """Return the state of a run that is neither done nor untouched."""
    record = head.record
    progress = _progress(store, run_id)
    name: StateName = "stopped"
    if holder is not None:
        name = "running"
    elif record is not None and record.status in ("failed", "interrupted"):
        name = "failed" if record.status == "failed" else "interrupted"
    failure = None
    if name in TROUBLE:
        ending = job.reason if job is not None else None
        failure = classify(record.error if record else None, last_lines(store.worker_log_path(run_id)), ending)
    heard = max(head.changed, progress.time if progress is not None else 0.0)
    running = progress if name == "running" else None
    return RunState(
        run_id=run_id,
        state=name,
        stage=progress.stage if progress is not None else record.stages[-1].name if record and record.stages else None,
        step=progress.step if progress is not None else None,
        total=progress.total if progress is not None else None,
        loss=_last_loss(store.log_path(run_id)),
        images_per_second=_images_per_second(store, run_id, running),
        seconds_left=_seconds_left(running, now),
        seconds_ago=max(0.0, now - heard) if heard else None,
        node=_node(holder, job),
        job=job.id if job is not None else None,
        reason=f"{failure.cause}: {failure.reason}" if failure is not None else None,
        failure=failure,
    )


def _progress(store: Store, run_id: str) -> Progress | None:
    try:
        return load_progress(store, run_id)
    except StoreError:
        return None  # it is written anew several times a second


def _node(holder: Holder | None, job: Job | None) -> str | None:
    if job is not None and job.node:
        return job.node
    return holder.host if holder is not None else None


def _seconds_left(progress: Progress | None, now: float) -> float | None:
    if progress is None or not progress.rate:
        return None
    return max(0.0, (progress.total - progress.step) / progress.rate - max(0.0, now - progress.time))


def _images_per_second(store: Store, run_id: str, progress: Progress | None) -> float | None:
    if progress is None or not progress.rate:
        return None
    try:
        spec = json.loads(store.spec_path(run_id).read_bytes())
        return progress.rate * float(spec["config"]["train"]["batch_size"])
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _last_loss(path: Path) -> float | None:
    for line in reversed(last_lines(path, _LOSS_BYTES)):
        try:
            return float(json.loads(line)["loss"])
        except (ValueError, KeyError, TypeError):
            continue  # the last line may be torn, or of another kind
    return None
