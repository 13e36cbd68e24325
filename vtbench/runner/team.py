"""The processes that make one run: they open its record together, and end together.

The first one (rank 0) writes; the others follow it. Where one fails, the record says which and why, whatever the others
meet while they wait for it.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial

import torch

from vtbench.distributed import collectives, is_main, rank, world_size
from vtbench.distributed.watch import STOPPED, Failure, Watch
from vtbench.errors import ProcessLostError, StoreError, TrainingError, VtbenchError
from vtbench.schema.record import RunError, RunRecord, StageRecord
from vtbench.schema.run import RunSpec
from vtbench.store.layout import Store
from vtbench.store.open_record import OpenRecord, RunFollower
from vtbench.store.provenance import collect
from vtbench.store.writer import RunWriter


@contextmanager
def joined(device: torch.device) -> Iterator[Watch | None]:
    """Join the other processes of this run while inside; None for a process that is alone.

    Raises:
        ProcessLostError: the others cannot be met.
    """
    if world_size() == 1:
        yield None
        return
    store = collectives.open_store()
    watch = Watch(store)
    try:
        with collectives.process_group(store, device):
            yield watch
    # Whatever it was, the others wait for this process and must hear of it; nothing is swallowed.
    except BaseException as error:
        announce(watch, error, "")
        raise
    watch.close()


@contextmanager
def opened(store: Store, spec: RunSpec, command: str, watch: Watch | None) -> Iterator[OpenRecord]:
    """Open the run's record, for writing in the first process and for following in the others.

    Raises:
        RunLockedError: another process is at this run.
        StoreError: the record is broken.
    """
    if watch is not None and not is_main():
        yield RunFollower(RunRecord.model_validate_json(watch.receive("record")))
        return
    with RunWriter(store, spec, collect(command)) as writer:
        if watch is not None:
            watch.on_failure(partial(_end_writing, writer))
        yield writer


def share(record: OpenRecord, watch: Watch | None) -> None:
    """Let the other processes go on, from the record as it is now."""
    if watch is not None and is_main():
        watch.share("record", record.record.model_dump_json())


def announce(watch: Watch | None, error: BaseException, stage: str) -> Failure | None:
    """Tell the others that this process ends; return whose failure it is that ends them all, if not this one's."""
    if watch is None:
        return None
    error = lost(error)
    first = watch.announce(type(error).__name__, words(error), stage)
    same = first.kind == type(error).__name__ and first.message == words(error)
    return None if first.rank == rank() or same else first


def record_failure(record: OpenRecord, stage: str, kind: str, message: str) -> None:
    """Write why a run failed, if the disk still takes it: where it does not, the error that is raised says so."""
    with suppress(StoreError):
        before = record.record.stage(stage) or StageRecord(name=stage, status="failed")
        record.set_stage(before.model_copy(update={"status": "failed"}))
        record.update(status="failed", error=RunError(kind=kind, message=message, stage=stage))


def as_error(failure: Failure) -> BaseException:
    """Return what to raise in a process that ends because of another."""
    return KeyboardInterrupt() if failure.kind == STOPPED else TrainingError(failure.text)


def words(error: BaseException) -> str:
    """Return an error as a record says it; the program's own faults come with their class."""
    return str(error) if isinstance(error, VtbenchError) else f"{type(error).__name__}: {error}"


def lost(error: BaseException) -> BaseException:
    """Return an error of the connection to another process as what it means: that one is gone."""
    if world_size() == 1 or not isinstance(error, RuntimeError):
        return error
    text = str(error)
    if not isinstance(error, torch.distributed.DistError) and not any(word in text for word in ("peer", "gloo")):
        return error
    lines = text.splitlines() or [""]
    return ProcessLostError(f"another process of this run has ended without a word ({lines[0]})")


def _end_writing(writer: RunWriter, failure: Failure) -> None:
    """Leave the record as another process's failure makes it, while the main thread waits for that process."""
    if failure.kind == STOPPED:
        with suppress(StoreError):
            writer.update(status="interrupted")
    else:
        running = (stage.name for stage in writer.record.stages if stage.status == "running")
        stage = failure.stage or next(running, "train_tokenizer")
        record_failure(writer, stage, failure.kind, failure.text)
    with suppress(StoreError):
        writer.release()
