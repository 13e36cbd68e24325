"""What the loop asks of a thing that trains, and the one for tokenizers.

The loop sees a `TrainStep` and nothing of models, losses or studies; a generator's step
(`vtbench.train.generator_step`) derives from the same class.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, TypeVar

import torch
from torch import Tensor

from vtbench.data.mixing import Batch, MixedBatch
from vtbench.distributed import collectives, is_main, rank, world_size
from vtbench.models.losses.tokenizer_loss import TokenizerLoss
from vtbench.models.nn.step_state import step_states
from vtbench.models.tokenizers.base import Geometry, Tokenizer, TokenizerOutput
from vtbench.schema.run import TrainConfig
from vtbench.seeding import derive, rng
from vtbench.train.divided import whole
from vtbench.train.lengths import draw_length, draw_lengths
from vtbench.train.optim import Optimizers, build_optimizers
from vtbench.train.schedule import factor
from vtbench.train.update import ModelUpdate

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


BatchT = TypeVar("BatchT")


class TrainStep(ABC, Generic[BatchT]):
    """One step of training and the state it carries; `device` is where it computes."""

    device: torch.device

    @abstractmethod
    def run(self, step: int, batch: BatchT) -> dict[str, Tensor]:
        """Train on a batch and return detached scalars; `loss` and `grad_norm` must be among them."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Return all state as tensors and plain values."""

    @abstractmethod
    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""


def autocast(device: torch.device, precision: str) -> torch.autocast:
    """Return the context in which a forward pass runs at `precision`: fp32, bf16 or fp16."""
    return torch.autocast(device.type, dtype=_DTYPES.get(precision), enabled=precision in _DTYPES)


@dataclass(frozen=True, kw_only=True)
class _Part:
    """Images that go through the model together, how, and which fraction of the process's images they are."""

    images: Batch
    geometry: Geometry
    fraction: float


class TokenizerStep(TrainStep[Batch | MixedBatch]):
    """Reconstruct a batch at the step's sizes, length and patches; update the discriminator too once the GAN has begun.

    The batch is this process's share, and is worked off in `config.grad_accumulation` parts, or more where its images
    differ in size. Gradients, and all that is taken from the batch otherwise, are those of the whole batch, a mean over
    its images: how it is cut shows in nothing but rounding. Images of one size have the patches that a whole batch of
    this size would have at the step; a length that is drawn for the batch is that of all sizes. Where sizes
    differ, codebooks that start from the batch see its latents in an order that depends on the number of processes.

    Args:
        model: the tokenizer, on its device, the same in every process.
        loss: its losses, on the same device.
        config: the run's training section.
        seed: the run's seed; the step's choices are a function of it and the step alone.
    """

    def __init__(self, model: Tokenizer, loss: TokenizerLoss, config: TrainConfig, seed: int) -> None:
        self.model, self.loss, self.config, self.seed = model, loss, config, seed
        self.update = ModelUpdate(model, config)
        self.device = self.update.device
        self.discriminator_optimizers: Optimizers | None = None
        self.discriminator_scaler = torch.amp.GradScaler(self.device.type, enabled=config.precision == "fp16")
        if loss.patch_discriminator is not None and loss.config.gan is not None:
            optimizer = config.optimizer.model_copy(
                update={"name": "adamw", "learning_rate": loss.config.gan.learning_rate}
            )
            self.discriminator_optimizers = build_optimizers(loss.patch_discriminator, optimizer)

    def _geometry(self, step: int, images: Batch) -> Geometry:
        input_size = (images.inputs.shape[-2], images.inputs.shape[-1])
        target_size = (images.targets.shape[-2], images.targets.shape[-1])
        choices, wanted = rng(self.seed, "geometry", step), self.config.num_tokens
        if wanted is None or wanted.per == "batch":
            num_tokens = None if wanted is None else draw_length(wanted, self.seed, step)
            return self.model.draw_geometry(choices, input_size, target_size, num_tokens)
        lengths = torch.from_numpy(draw_lengths(wanted, self.seed, step, self.config.batch_size))[images.places]
        geometry = self.model.draw_geometry(choices, input_size, target_size, None)
        return replace(geometry, lengths=lengths.to(self.device))

    def _parts(self, step: int, batch: Batch | MixedBatch) -> list[_Part]:
        found = batch.to(self.device).split(self.config.grad_accumulation)
        num_images = sum(images.num_images for images in found)
        return [
            _Part(images=images, geometry=self._geometry(step, images), fraction=images.num_images / num_images)
            for images in found
        ]

    def run(self, step: int, batch: Batch | MixedBatch) -> dict[str, Tensor]:
        """Train on a batch; see `TrainStep.run`."""
        if not is_main():
            # What is drawn for all, the first process draws, whose generator goes on from step to step.
            torch.manual_seed(derive(self.seed, "process", rank(), step))
        # A divided model gathers its weights in each forward pass, which all processes must make together.
        assert isinstance(batch, Batch) or self.config.parallel == "ddp" or world_size() == 1
        parts = self._parts(step, batch)
        schedule = factor(self.config.schedule, step, self.config.steps)
        self.model.train()
        self._preview(parts)
        reconstructions, scalars = self._train(step, parts, schedule)
        if self.discriminator_optimizers is not None and self.loss.gan_active(step):
            scalars |= self._train_discriminator(step, parts, reconstructions, schedule)
        return scalars | {"learning_rate_factor": torch.tensor(schedule)}

    def _forward(self, part: _Part) -> TokenizerOutput:
        size = (part.images.targets.shape[-2], part.images.targets.shape[-1])
        with autocast(self.device, self.config.precision):
            output: TokenizerOutput = self.update.exchange.forward(part.images.inputs, size, part.geometry)
        return output

    @torch.no_grad()
    def _preview(self, parts: Sequence[_Part]) -> None:
        """Show the whole batch to what starts from it; a part that is the whole batch shows itself."""
        if len(parts) == 1 and world_size() == 1:
            return
        curious = [state for state in step_states(self.model) if state.wants_preview()]
        if not curious:
            return
        for state in curious:
            state.begin_preview()
        for part in parts:
            self._forward(part)
        for state in curious:
            state.end_preview()

    def _train(self, step: int, parts: Sequence[_Part], schedule: float) -> tuple[list[Tensor], dict[str, Tensor]]:
        """Update the model and its average; return the reconstructions of the parts, and the means of the scalars."""
        self.update.begin(schedule)
        reconstructions, found = [], []
        for part in parts:
            with self.update.exchange.part(last=part is parts[-1]):
                output = self._forward(part)
                with autocast(self.device, self.config.precision):
                    loss, scalars = self.loss.generator(output, part.images.targets, step)
                self.update.backward(_share(loss, part))
            reconstructions.append(output.reconstruction.detach())
            found.append(scalars | {"loss": loss.detach()})
        self.update.exchanged()
        scalars = collectives.mean_scalars(_means(parts, found))
        grad_norm = self.update.apply(step, scalars["loss"])
        return reconstructions, scalars | {"grad_norm": grad_norm}

    def _train_discriminator(
        self, step: int, parts: Sequence[_Part], reconstructions: Sequence[Tensor], schedule: float
    ) -> dict[str, Tensor]:
        optimizers, scaler = self.discriminator_optimizers, self.discriminator_scaler
        assert optimizers is not None
        assert self.loss.patch_discriminator is not None
        optimizers.set_factor(schedule)
        optimizers.zero_grad()
        found = []
        for part, reconstruction in zip(parts, reconstructions, strict=True):
            with autocast(self.device, self.config.precision):
                loss, scalars = self.loss.discriminator(part.images.targets, reconstruction, step)
            scaler.scale(_share(loss, part)).backward()
            found.append(scalars)
        collectives.mean_gradients(self.loss.patch_discriminator.parameters())
        for state in step_states(self.loss):
            state.end_step()
        optimizers.step(scaler)
        scaler.update()
        return collectives.mean_scalars(_means(parts, found))

    def state_dict(self) -> dict[str, Any]:
        """Return model, average, losses' own state, optimisers and scalers, whole; all processes must call it."""
        discriminator = self.discriminator_optimizers
        state = {
            **self.update.state_dict(),
            "loss": self.loss.state_dict(),
            "discriminator_optimizers": None if discriminator is None else discriminator.state_dict(),
            "discriminator_scaler": self.discriminator_scaler.state_dict(),
        }
        return whole(state, keep=is_main()) if self.config.parallel == "fsdp" else state

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.update.load_state_dict(state)
        self.loss.load_state_dict(state["loss"])
        if self.discriminator_optimizers is not None:
            self.discriminator_optimizers.load_state_dict(state["discriminator_optimizers"])
        self.discriminator_scaler.load_state_dict(state["discriminator_scaler"])


def _share(loss: Tensor, part: _Part) -> Tensor:
    """Return what a part's loss adds to the batch's."""
    return loss if part.fraction == 1 else loss * part.fraction


def _means(parts: Sequence[_Part], found: Sequence[dict[str, Tensor]]) -> dict[str, Tensor]:
    """Return the mean of each scalar over the images of a batch, from its parts' means."""
    if len(found) == 1:
        return found[0]
    pairs = list(zip(parts, found, strict=True))
    return {name: torch.stack([scalars[name] * part.fraction for part, scalars in pairs]).sum(0) for name in found[0]}
