"""Exponential moving average of a model's weights, with the ramp of the official VibeToken code.

At step s the decay is `min(decay, (1 + s) / (10 + s))`, so early weights are soon forgotten. Buffers are copied.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn


class Ema:
    """The average, kept in fp32 beside the model.

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
            [self.state[name] for name in averaged], [current[name].detach() for name in averaged], 1 - decay
        )
        for name in self.state.keys() - self._averaged:
            self.state[name].copy_(current[name])
