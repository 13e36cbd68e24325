"""Execute one run: the same function for a local worker, a cluster job and a test.

Stages run in order, each leaves what it made in the record before the next begins, and each is skipped or shortened
by what the record holds already. So executing a run again after any interruption does only what is missing.

Several processes, started by torchrun or srun, train a run together and share out its measuring; what goes by the clock
is left to the first of them.
"""

from __future__ import annotations

import errno
import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import torch

from vtbench.distributed import collectives, is_main, local_rank, world_size
from vtbench.distributed.watch import Watch
from vtbench.errors import DataError
from vtbench.runner.context import RunContext
from vtbench.runner.stages import (
    cache_tokens,
    evaluate_generation,
    evaluate_reconstruction,
    measure_cost,
    train_generator,
    train_tokenizer,
)
from vtbench.runner.team import announce, as_error, joined, lost, opened, record_failure, share, words
from vtbench.schema.record import RunRecord
from vtbench.schema.study import StudyPlan
from vtbench.store.files import disk_error
from vtbench.store.layout import Store
from vtbench.store.open_record import OpenRecord
from vtbench.store.provenance import collect, now


@dataclass(frozen=True)
class _Stages:
    """The stages of a run: those that its processes go through together, and those that the first does alone."""

    together: tuple[ModuleType, ...]
    alone: tuple[ModuleType, ...]


_OF_TOKENIZER = _Stages(together=(train_tokenizer, evaluate_reconstruction), alone=(measure_cost,))
_OF_GENERATOR = _Stages(together=(cache_tokens, train_generator, evaluate_generation), alone=(measure_cost,))


def execute(store: Store, plan: StudyPlan, run_id: str, fresh: bool = False) -> RunRecord:
    """Train and measure the run `run_id` of `plan`; return its record.

    In a process that is not the first of several, the record is as far as this process knows it.

    Args:
        store: where runs lie.
        plan: what to measure, and on which device.
        run_id: a key of `plan.runs`.
        fresh: forget what is stored of this run and begin again.

    Raises:
        RunLockedError: another process is at it.
        VtbenchError: the run failed; its record says why, and what was reached is kept.
        KeyboardInterrupt: asked to stop; the next call goes on from there.
    """
    spec = plan.runs[run_id]
    device = _device(plan.profile.resources.device)
    with joined(device) as watch, opened(store, spec, plan.command, watch) as record:
        if is_main():
            if fresh:
                _forget(store, record, plan.command)
            record.update(status="running", error=None)
        share(record, watch)
        context = RunContext(store=store, plan=plan, spec=spec, writer=record, device=device)
        stages = _OF_TOKENIZER if spec.config.generator is None else _OF_GENERATOR
        for stage in stages.together:
            _run(stage, context, watch)
        collectives.barrier()
        if is_main():
            for stage in stages.alone:
                _run(stage, context, watch)
            finished = record.record.provenance.model_copy(update={"finished": now()})
            record.update(status="done", provenance=finished)
        return record.record


def _run(stage: ModuleType, context: RunContext, watch: Watch | None) -> None:
    try:
        stage.run(context)
    # Whatever it was, the record and the other processes must know before this one ends; nothing is swallowed.
    except (Exception, KeyboardInterrupt) as error:
        cause = _named(lost(error), context.store.root)
        other = announce(watch, cause, stage.NAME)
        if other is not None:
            cause = as_error(other)
            if not isinstance(cause, KeyboardInterrupt):
                record_failure(context.writer, other.stage or stage.NAME, other.kind, other.text)
        elif not isinstance(cause, KeyboardInterrupt):
            record_failure(context.writer, stage.NAME, type(cause).__name__, words(cause))
        if cause is error:
            raise
        raise cause from error


def _named(error: BaseException, root: Path) -> BaseException:
    """Return an error as the user's one where it is the disk that is full, whoever wrote to it."""
    if isinstance(error, OSError) and error.errno in (errno.ENOSPC, errno.EDQUOT):
        return disk_error(Path(os.fsdecode(error.filename)) if error.filename else root, error)
    return error


def _device(name: str) -> torch.device:
    """Return this process's device; on a CPU, also fix what results depend on: order of sums, number of threads."""
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise DataError(f"this profile runs on '{name}', and torch sees no CUDA device; --profile tiny needs none")
    if device.type == "cuda" and world_size() > 1:
        # A launcher shows each process its own card, or all of them to all.
        device = torch.device("cuda", local_rank() % torch.cuda.device_count())
        torch.cuda.set_device(device)
    if device.type == "cpu":
        torch.use_deterministic_algorithms(True)
        # Filling new memory with NaN finds reads of what was never written; it costs 4 % of a step and changes nothing.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1))
    return device


def _forget(store: Store, record: OpenRecord, command: str) -> None:
    run_id = record.record.spec.run_id
    shutil.rmtree(store.checkpoint_dir(run_id), ignore_errors=True)
    shutil.rmtree(store.samples_dir(run_id), ignore_errors=True)
    shutil.rmtree(store.measured_dir(run_id), ignore_errors=True)
    record.truncate_log(-1)
    record.update(stages=(), metrics=(), provenance=collect(command))
