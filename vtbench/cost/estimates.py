"""Figures that follow from a model, or from a count, without counting anything.

A training step is estimated as `TRAINING_FACTOR` forward passes of the model alone; the networks of its losses are left
out.
"""

from __future__ import annotations

from torch import nn

TRAINING_FACTOR = 3
"""Forward and backward over forward: the backward pass does each product twice, for inputs and for weights."""


def num_parameters(model: nn.Module) -> int:
    """Return the number of parameters, frozen ones and codebooks included, shared ones once."""
    return sum(parameter.numel() for parameter in model.parameters())


def training_flops(forward_flops: float, images_seen: int) -> float:
    """Estimate the FLOPs of training on `images_seen` images whose forward pass takes `forward_flops` each."""
    return TRAINING_FACTOR * forward_flops * images_seen
