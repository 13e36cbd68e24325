"""The loop: batches in, steps, log lines and checkpoints out.

Each batch and each random choice is a function of the seed and the step, so a run that was stopped goes on from its
last checkpoint and ends bitwise equal (on a CPU) to one that was not. Several processes go through it step by step
together: the first one writes, and all of them stop after the same step.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Generic, Protocol, runtime_checkable

import torch
from torch import Tensor

from vtbench.distributed import collectives, is_main
from vtbench.errors import NonFiniteLossError
from vtbench.schema.run import TrainConfig
from vtbench.train import checkpoint
from vtbench.train.interrupt import StopFlag, deferred_stop
from vtbench.train.step import BatchT, TrainStep


@runtime_checkable
class Journal(Protocol):
    """Where a loop reports; the run's writer is one."""

    def log(self, step: int, values: dict[str, float]) -> None:
        """Keep a line of the training log."""

    def truncate_log(self, step: int) -> None:
        """Drop lines after `step`."""

    def sync_log(self) -> None:
        """Wait until the lines are on disk."""

    def progress(self, stage: str, step: int, total: int, rate: float | None = None) -> None:
        """Say where the run is; `rate` is in steps a second."""


@dataclass(frozen=True, kw_only=True)
class LoopResult:
    """How far a loop came: all of its steps, and the seconds that this process spent."""

    steps: int
    seconds: float
    checkpoint: Path


def _check_finite(step: int, values: dict[str, Tensor], num_checked: int, kept: int) -> None:
    broken = {name: float(value) for name, value in values.items() if not torch.isfinite(value).all()}
    if broken:
        first = max(0, step - num_checked + 1)
        where = f"step {step}" if first == step else f"steps {first} to {step}"
        text = ", ".join(f"{name} = {value}" for name, value in broken.items())
        raise NonFiniteLossError(
            f"training broke at {where}: {text}."
            f" {f'The checkpoint of step {kept} is kept' if kept else 'There is no checkpoint yet'};"
            " a lower train.optimizer.learning_rate, a lower train.grad_clip or precision fp32 usually mends it."
        )


class Loop(Generic[BatchT]):
    """Trains for `config.steps` steps, going on from the newest checkpoint in `folder`.

    Args:
        step: what is trained.
        batches: (first step, end) -> the batches of those steps.
        config: steps and cadences.
        folder: where checkpoints go.
        journal: where log lines and progress go.
        name: the stage's name in progress reports.
    """

    def __init__(
        self,
        step: TrainStep[BatchT],
        batches: Callable[[int, int], Iterator[BatchT]],
        config: TrainConfig,
        folder: Path,
        journal: Journal,
        name: str,
    ) -> None:
        self.step, self.batches, self.config = step, batches, config
        self.folder, self.journal, self.name = folder, journal, name

    def _resume(self) -> int:
        """Restore the newest checkpoint, the same in all processes, and return how many steps are done."""
        state = checkpoint.load_latest(self.folder) if is_main() else None
        done = int(collectives.from_main(torch.tensor(-1 if state is None else state["step"])))
        if done < 0:
            self.journal.truncate_log(-1)
            return 0
        state = state or checkpoint.load(checkpoint.path_of(self.folder, done))
        self.step.load_state_dict(state)
        checkpoint.set_rng_state(state["rng"])
        self.journal.truncate_log(done - 1)
        return done

    def _save(self, done: int) -> None:
        state = self.step.state_dict()
        if is_main():
            self.journal.sync_log()
            checkpoint.save(self.folder, done, {**state, "rng": checkpoint.rng_state()})
        collectives.barrier()

    def run(self) -> LoopResult:
        """Train to the end.

        Raises:
            NonFiniteLossError: the loss or the gradient became NaN or infinite.
            KeyboardInterrupt: asked to stop (SIGINT or SIGTERM); a checkpoint of the last whole step has been written.
        """
        started = time.monotonic()
        first = self._resume()
        with deferred_stop() as stop:
            done, path = self._steps(first, stop)
        if collectives.any_true(stop.raised):
            raise KeyboardInterrupt
        return LoopResult(steps=done, seconds=time.monotonic() - started, checkpoint=path)

    def _steps(self, first: int, stop: StopFlag) -> tuple[int, Path]:
        """Train from step `first` to the end or until asked to stop; return the steps done and the last checkpoint."""
        config, started = self.config, time.monotonic()
        done = kept = first
        last_report, unchecked = started, 0
        # A CPU has every value at hand; a GPU would have to wait for it, so there only logged steps are looked at.
        every_step = self.step.device.type == "cpu"
        for batch in self.batches(first, config.steps):
            values = self.step.run(done, batch)
            unchecked += 1
            final, stopping = done + 1 == config.steps, collectives.any_true(stop.raised)
            save = final or stopping or (done + 1) % config.checkpoint_every == 0
            log = final or done % config.log_every == 0
            if every_step or save or log:
                _check_finite(done, values, unchecked, kept)
                unchecked = 0
            if log:
                self.journal.log(done, {name: float(value) for name, value in values.items()})
            done += 1
            if save:
                self._save(done)
                kept = done
            now = time.monotonic()
            if now - last_report > 0.5 or final:
                self.journal.progress(self.name, done, config.steps, (done - first) / (now - started))
                last_report = now
            if stopping:
                break
        return done, checkpoint.path_of(self.folder, kept)
