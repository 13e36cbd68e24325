"""What the loop asks of a thing that trains, and the one for tokenizers.

The loop sees a `TrainStep` and nothing of models, losses or studies; a generator's step derives from the same class.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn

from vtbench.data.mixing import Batch
from vtbench.models.losses.tokenizer_loss import TokenizerLoss
from vtbench.models.tokenizers.base import Tokenizer, TokenizerOutput
from vtbench.schema.run import TrainConfig
from vtbench.seeding import rng
from vtbench.train.ema import Ema
from vtbench.train.optim import Optimizers, build_optimizers
from vtbench.train.schedule import factor

_DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}


class TrainStep(ABC):
    """One step of training and the state it carries; `device` is where it computes."""

    device: torch.device

    @abstractmethod
    def run(self, step: int, batch: Batch) -> dict[str, Tensor]:
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


class TokenizerStep(TrainStep):
    """Reconstruct a batch at the step's sizes, length and patches; update the discriminator too once the GAN has begun.

    Args:
        model: the tokenizer, on its device.
        loss: its losses, on the same device.
        config: the run's training section.
        seed: the run's seed; the step's choices are a function of it and the step alone.
    """

    def __init__(self, model: Tokenizer, loss: TokenizerLoss, config: TrainConfig, seed: int) -> None:
        self.model, self.loss, self.config, self.seed = model, loss, config, seed
        self.device = next(model.parameters()).device
        self.forward: Callable[..., TokenizerOutput] = torch.compile(model) if config.compile else model
        self.optimizers = build_optimizers(model, config.optimizer)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=config.precision == "fp16")
        self.ema = Ema(model, config.ema.decay) if config.ema is not None else None
        self.discriminator_optimizers: Optimizers | None = None
        self.discriminator_scaler = torch.amp.GradScaler(self.device.type, enabled=config.precision == "fp16")
        if loss.patch_discriminator is not None and loss.config.gan is not None:
            optimizer = config.optimizer.model_copy(
                update={"name": "adamw", "learning_rate": loss.config.gan.learning_rate}
            )
            self.discriminator_optimizers = build_optimizers(loss.patch_discriminator, optimizer)

    def _num_tokens(self, step: int) -> int | None:
        wanted = self.config.num_tokens
        if wanted is None:
            return None
        return int(rng(self.seed, "num_tokens", step).integers(wanted.min, wanted.max + 1))

    def run(self, step: int, batch: Batch) -> dict[str, Tensor]:
        """Train on a batch; see `TrainStep.run`."""
        inputs, targets = batch.inputs.to(self.device), batch.targets.to(self.device)
        input_size = (inputs.shape[-2], inputs.shape[-1])
        target_size = (targets.shape[-2], targets.shape[-1])
        choices = rng(self.seed, "geometry", step)
        geometry = self.model.draw_geometry(choices, input_size, target_size, self._num_tokens(step))
        schedule = factor(self.config.schedule, step, self.config.steps)

        self.model.train()
        self.optimizers.set_factor(schedule)
        self.optimizers.zero_grad()
        with autocast(self.device, self.config.precision):
            output = self.forward(inputs, target_size, geometry)
            loss, scalars = self.loss.generator(output, targets, step)
        self.scaler.scale(loss).backward()
        self.optimizers.unscale(self.scaler)
        limit = self.config.grad_clip if self.config.grad_clip is not None else float("inf")
        grad_norm = nn.utils.clip_grad_norm_(self.model.parameters(), limit)
        # Where it costs no waiting (the scaler waits anyway), weights that a broken gradient would spoil stay good.
        looked_at = self.device.type == "cpu" or self.scaler.is_enabled()
        if not looked_at or (torch.isfinite(loss) and torch.isfinite(grad_norm)):
            self.optimizers.step(self.scaler)
            if self.ema is not None:
                self.ema.update(self.model, step)
        self.scaler.update()
        if self.scaler.is_enabled():
            # An overflow is no failure: the step is left out and the scale is lowered.
            grad_norm = grad_norm.nan_to_num(0.0, 0.0, 0.0)
        if self.discriminator_optimizers is not None and self.loss.gan_active(step):
            reconstruction = output.reconstruction.detach()
            scalars |= self._train_discriminator(step, targets, reconstruction, schedule)
        extra = {"loss": loss.detach(), "grad_norm": grad_norm, "learning_rate_factor": torch.tensor(schedule)}
        return scalars | extra

    def _train_discriminator(
        self, step: int, targets: Tensor, reconstruction: Tensor, schedule: float
    ) -> dict[str, Tensor]:
        optimizers, scaler = self.discriminator_optimizers, self.discriminator_scaler
        assert optimizers is not None
        optimizers.set_factor(schedule)
        optimizers.zero_grad()
        with autocast(self.device, self.config.precision):
            loss, scalars = self.loss.discriminator(targets, reconstruction, step)
        scaler.scale(loss).backward()
        optimizers.step(scaler)
        scaler.update()
        return scalars

    def state_dict(self) -> dict[str, Any]:
        """Return model, average, losses' own state, optimisers and scalers."""
        discriminator = self.discriminator_optimizers
        return {
            "model": self.model.state_dict(),
            "ema": None if self.ema is None else self.ema.state,
            "loss": self.loss.state_dict(),
            "optimizers": self.optimizers.state_dict(),
            "scaler": self.scaler.state_dict(),
            "discriminator_optimizers": None if discriminator is None else discriminator.state_dict(),
            "discriminator_scaler": self.discriminator_scaler.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.model.load_state_dict(state["model"])
        if self.ema is not None:
            for name, value in state["ema"].items():
                self.ema.state[name].copy_(value)
        self.loss.load_state_dict(state["loss"])
        self.optimizers.load_state_dict(state["optimizers"])
        self.scaler.load_state_dict(state["scaler"])
        if self.discriminator_optimizers is not None:
            self.discriminator_optimizers.load_state_dict(state["discriminator_optimizers"])
        self.discriminator_scaler.load_state_dict(state["discriminator_scaler"])
