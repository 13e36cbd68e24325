"""Exponential moving average of a model's weights, with the ramp of the official VibeToken code.

At step s the decay is `min(decay, (1 + s) / (10 + s))`, so early weights are soon forgotten. Buffers are copied.
"""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from vtbench.train.divided import alike, local


class Ema:
    """The average, kept in fp32 beside the model, and divided among processes as the model is.

    Args:
        model: the model that is trained; the average starts at its weights.
        decay: decay after the ramp, in [0, 1).
    """

    def __init__(self, model: nn.Module, decay: float) -> None:
        self.decay = decay
        self.state: dict[str, Tensor] = {name: value.detach().clone() for name, value in model.state_dict().items()}
        self._averaged = {name for name, parameter in model.named_parameters() if parameter.is_floating_point()}

    @torch.no_grad()
    def update(self, model: nn.Module, step: int) -> None:
        """Take in the model's weights after `step`."""
        decay = min(self.decay, (1 + step) / (10 + step))
        current = model.state_dict()
        averaged = [name for name in self.state if name in self._averaged]
        torch._foreach_lerp_(
            [local(self.state[name]) for name in averaged],
            [local(current[name].detach()) for name in averaged],
            1 - decay,
        )
        for name in self.state.keys() - self._averaged:
            self.state[name].copy_(current[name])

    def load(self, state: Mapping[str, Tensor]) -> None:
        """Restore the average from whole tensors."""
        for name, value in state.items():
            self.state[name].copy_(alike(value, self.state[name]))
