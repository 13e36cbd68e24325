"""A training step of a generator: predict every code of every token from those before it."""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.nn import functional as F

from vtbench.data.token_batches import TokenBatch
from vtbench.distributed import collectives, is_main, rank
from vtbench.models.generators.base import Condition, Generator
from vtbench.schema.run import TrainConfig
from vtbench.seeding import derive
from vtbench.train.divided import whole
from vtbench.train.schedule import factor
from vtbench.train.step import TrainStep, autocast
from vtbench.train.update import ModelUpdate


def code_losses(
    logits: Float[Tensor, "batch tokens num_codebooks entries"], codes: Int[Tensor, "batch num_codebooks tokens"]
) -> Float[Tensor, " num_codebooks"]:
    """Return the cross-entropy in nats at each place in a token, a mean over images and tokens."""
    wanted = codes.transpose(1, 2)
    losses = F.cross_entropy(logits.flatten(0, 2).float(), wanted.flatten(), reduction="none")
    return losses.unflatten(0, wanted.shape).mean((0, 1))


class GeneratorStep(TrainStep[TokenBatch]):
    """Update a generator by the mean cross-entropy over codes, tokens and images; some labels are dropped.

    The batch is this process's share, and is worked off in `config.grad_accumulation` equal parts: how it is cut shows
    in nothing but rounding, in which labels are dropped, and in dropout.

    Args:
        model: the generator, on its device, the same in every process.
        config: the generator's training section.
        seed: the run's seed; which labels are dropped is a function of it, the step and the part alone.
    """

    def __init__(self, model: Generator, config: TrainConfig, seed: int) -> None:
        self.model, self.config, self.seed = model, config, seed
        self.update = ModelUpdate(model, config)
        self.device = self.update.device

    def run(self, step: int, batch: TokenBatch) -> dict[str, Tensor]:
        """Train on a batch; see `TrainStep.run`. `loss_code_k` is the loss at place k in a token."""
        if not is_main():
            # Dropout: the first process's generator goes on from step to step.
            torch.manual_seed(derive(self.seed, "process", rank(), step))
        schedule = factor(self.config.schedule, step, self.config.steps)
        self.model.train()
        self.update.begin(schedule)
        parts = batch.to(self.device).split(self.config.grad_accumulation)
        found = []
        for part in parts:
            with self.update.exchange.part(last=part is parts[-1]):
                losses = self._losses(step, part)
                self.update.backward(losses.mean() / len(parts))
            found.append(losses.detach())
        self.update.exchanged()
        scalars = collectives.mean_scalars(_scalars(torch.stack(found).mean(0)))
        grad_norm = self.update.apply(step, scalars["loss"])
        return scalars | {"grad_norm": grad_norm, "learning_rate_factor": torch.tensor(schedule)}

    def _losses(self, step: int, part: TokenBatch) -> Float[Tensor, " num_codebooks"]:
        draw = torch.Generator().manual_seed(derive(self.seed, "labels", step, int(part.places[0])))
        condition = Condition(labels=part.labels, height=part.heights, width=part.widths)
        with autocast(self.device, self.config.precision):
            logits = self.update.exchange.forward(part.codes, condition, draw)
        return code_losses(logits, part.codes)

    def state_dict(self) -> dict[str, Any]:
        """Return model, average, optimisers and scaler, whole; all processes must call it."""
        state = self.update.state_dict()
        return whole(state, keep=is_main()) if self.config.parallel == "fsdp" else state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.update.load_state_dict(state)


def _scalars(losses: Float[Tensor, " num_codebooks"]) -> dict[str, Tensor]:
    """Return the mean loss and, of a token of several codes, that at each place."""
    places = {f"loss_code_{place}": loss for place, loss in enumerate(losses)} if len(losses) > 1 else {}
    return {"loss": losses.mean(), **places}
