"""What every training step does with its model once it has a loss: gradients, clipping, optimisers, average."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from vtbench.models.nn.step_state import step_states
from vtbench.schema.run import TrainConfig
from vtbench.train.divided import alike
from vtbench.train.ema import Ema
from vtbench.train.optim import build_optimizers
from vtbench.train.parallel import Exchange, divide


class ModelUpdate:
    """A model, its optimisers and its average, in one process or several.

    Args:
        model: on its device, the same in every process.
        config: how it is trained.

    Attributes:
        exchange: runs the model; its `part` is to be around each part's forward and backward.
    """

    def __init__(self, model: nn.Module, config: TrainConfig) -> None:
        self.model, self.config = model, config
        self.device = next(model.parameters()).device
        undivided = divide(model, self.device) if config.parallel == "fsdp" else set()
        self.exchange = Exchange(model, undivided, config.compile)
        self.optimizers = build_optimizers(model, config.optimizer)
        self.scaler = torch.amp.GradScaler(self.device.type, enabled=config.precision == "fp16")
        self.ema = Ema(model, config.ema.decay) if config.ema is not None else None

    def begin(self, schedule: float) -> None:
        """Forget all gradients and set the learning rates to `schedule` times their peaks."""
        self.optimizers.set_factor(schedule)
        self.optimizers.zero_grad()

    def backward(self, loss: Tensor) -> None:
        """Add a part's gradients."""
        self.scaler.scale(loss).backward()

    def exchanged(self) -> None:
        """Have the gradients of all processes, and let what the model takes from a batch take it."""
        self.exchange.finish()
        for state in step_states(self.model):
            state.end_step()

    def apply(self, step: int, loss: Tensor) -> Tensor:
        """Update weights and average, unless the loss or the gradient is broken; return the gradient's norm.

        Args:
            step: of the run.
            loss: of the whole batch, of all processes.
        """
        self.optimizers.unscale(self.scaler)
        limit = self.config.grad_clip if self.config.grad_clip is not None else float("inf")
        grad_norm = self.exchange.clip(limit)
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
        return grad_norm

    def state_dict(self) -> dict[str, Any]:
        """Return model, average, optimisers and scaler, divided as they are."""
        return {
            "model": self.model.state_dict(),
            "ema": None if self.ema is None else self.ema.state,
            "optimizers": self.optimizers.state_dict(),
            "scaler": self.scaler.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned, from whole tensors."""
        present = self.model.state_dict()
        self.model.load_state_dict({name: alike(value, present[name]) for name, value in state["model"].items()})
        if self.ema is not None:
            self.ema.load(state["ema"])
        self.optimizers.load_state_dict(state["optimizers"])
        self.scaler.load_state_dict(state["scaler"])
