"""Execute one run: the same function for a local worker, a cluster job and a test.

Stages run in order, each leaves what it made in the record before the next begins, and each is skipped or shortened
by what the record holds already. So executing a run again after any interruption does only what is missing.
"""

from __future__ import annotations

import os
import shutil

import torch

from vtbench.errors import DataError, VtbenchError
from vtbench.runner.context import RunContext
from vtbench.runner.stages import evaluate_reconstruction, measure_cost, train_tokenizer
from vtbench.schema.record import RunError, RunRecord, StageRecord
from vtbench.schema.study import StudyPlan
from vtbench.store.layout import Store
from vtbench.store.provenance import collect, now
from vtbench.store.writer import RunWriter

STAGES = (train_tokenizer, evaluate_reconstruction, measure_cost)


def execute(store: Store, plan: StudyPlan, run_id: str, fresh: bool = False) -> RunRecord:
    """Train and measure the run `run_id` of `plan`; return its record.

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
    with RunWriter(store, spec, collect(plan.command)) as writer:
        if fresh:
            _forget(store, writer, plan.command)
        context = RunContext(store=store, plan=plan, spec=spec, writer=writer, device=device)
        writer.update(status="running", error=None)
        for stage in STAGES:
            try:
                stage.run(context)
            # Whatever it was, the record must say so before the process ends; nothing is swallowed.
            except Exception as error:
                _fail(writer, stage.NAME, error)
                raise
        finished = writer.record.provenance.model_copy(update={"finished": now()})
        writer.update(status="done", provenance=finished)
        return writer.record


def _device(name: str) -> torch.device:
    """Return the device; on a CPU, also fix the order of sums and the number of threads, on which results depend."""
    device = torch.device(name)
    if device.type == "cuda" and not torch.cuda.is_available():
        raise DataError(f"this profile runs on '{name}', and torch sees no CUDA device; --profile tiny needs none")
    if device.type == "cpu":
        torch.use_deterministic_algorithms(True)
        # Filling new memory with NaN finds reads of what was never written; it costs 4 % of a step and changes nothing.
        torch.utils.deterministic.fill_uninitialized_memory = False  # type: ignore[attr-defined]
        torch.set_num_threads(int(os.environ.get("OMP_NUM_THREADS") or os.cpu_count() or 1))
    return device


def _forget(store: Store, writer: RunWriter, command: str) -> None:
    run_id = writer.record.spec.run_id
    shutil.rmtree(store.checkpoint_dir(run_id), ignore_errors=True)
    shutil.rmtree(store.samples_dir(run_id), ignore_errors=True)
    shutil.rmtree(store.measured_dir(run_id), ignore_errors=True)
    writer.truncate_log(-1)
    writer.update(stages=(), metrics=(), provenance=collect(command))


def _fail(writer: RunWriter, stage: str, error: Exception) -> None:
    message = str(error) if isinstance(error, VtbenchError) else f"{type(error).__name__}: {error}"
    before = writer.record.stage(stage) or StageRecord(name=stage, status="failed")
    writer.set_stage(before.model_copy(update={"status": "failed"}))
    writer.update(status="failed", error=RunError(kind=type(error).__name__, message=message, stage=stage))
