"""Optimisers and what each of them updates.

Weight decay acts on the weights of linear and convolution layers alone: not on vectors, embeddings, tokens or
codebooks (official VibeToken code). Muon (Jordan et al. 2024), where chosen, updates the matrices of the layers that a
model stacks (what stands in a `ModuleList`, whatever its class), and AdamW the rest.
"""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn

from vtbench.errors import TrainingError
from vtbench.schema.run import OptimizerConfig
from vtbench.train.divided import alike
from vtbench.train.parallel import layers


class Optimizers:
    """One or two optimisers that step together under one schedule."""

    def __init__(self, optimizers: Iterable[torch.optim.Optimizer]) -> None:
        self.members = list(optimizers)
        self._peaks = [[group["lr"] for group in member.param_groups] for member in self.members]

    def set_factor(self, factor: float) -> None:
        """Set every group's learning rate to `factor` times its peak."""
        for member, peaks in zip(self.members, self._peaks, strict=True):
            for group, peak in zip(member.param_groups, peaks, strict=True):
                group["lr"] = peak * factor

    def zero_grad(self) -> None:
        """Forget all gradients."""
        for member in self.members:
            member.zero_grad(set_to_none=True)

    def step(self, scaler: torch.amp.GradScaler) -> None:
        """Step every member; with fp16, the scaler leaves out a member whose gradients overflowed."""
        for member in self.members:
            scaler.step(member)

    def unscale(self, scaler: torch.amp.GradScaler) -> None:
        """Bring gradients back to their true size, for clipping."""
        for member in self.members:
            scaler.unscale_(member)

    def state_dict(self) -> list[dict]:
        """Return each member's state."""
        return [member.state_dict() for member in self.members]

    def load_state_dict(self, state: list[dict]) -> None:
        """Restore each member's state from whole tensors; a divided parameter's are divided as it is."""
        for member, part in zip(self.members, state, strict=True):
            parameters = [parameter for group in member.param_groups for parameter in group["params"]]
            divided = {number: _as_parameter(values, parameters[number]) for number, values in part["state"].items()}
            member.load_state_dict({**part, "state": divided})


def _as_parameter(values: dict, parameter: Tensor) -> dict:
    """Divide what an optimiser keeps of a parameter, where it has the parameter's shape."""
    fits = {name: isinstance(value, Tensor) and value.shape == parameter.shape for name, value in values.items()}
    return {name: alike(value, parameter) if fits[name] else value for name, value in values.items()}


def _decayed(model: nn.Module) -> set[int]:
    layers = (module for module in model.modules() if isinstance(module, nn.Linear | nn.Conv2d))
    return {id(layer.weight) for layer in layers}


def _layer_matrices(model: nn.Module) -> set[int]:
    return {id(m.weight) for layer in layers(model) for m in layer.modules() if isinstance(m, nn.Linear)}


def misfit(model: nn.Module, config: OptimizerConfig) -> str | None:
    """Return why an optimiser does not suit a model and what would, or None if it does."""
    if config.name == "muon" and not _layer_matrices(model):
        return "muon updates the matrices of stacked layers, and this model has none; write name: adamw"
    return None


def build_optimizers(model: nn.Module, config: OptimizerConfig) -> Optimizers:
    """Return the optimisers of `model`'s trainable parameters; each parameter is in exactly one group.

    Raises:
        TrainingError: the optimiser has nothing to update in such a model.
    """
    if why := misfit(model, config):
        raise TrainingError(f"train.optimizer: {why}")
    parameters = [p for p in model.parameters() if p.requires_grad]
    matrices = _layer_matrices(model) if config.name == "muon" else set()
    rest = [p for p in parameters if id(p) not in matrices]
    decayed = _decayed(model)

    def group(members: list[Tensor], weight_decay: float) -> dict:
        return {"params": members, "weight_decay": weight_decay}

    groups = [
        group([p for p in rest if id(p) in decayed], config.weight_decay),
        group([p for p in rest if id(p) not in decayed], 0.0),
    ]
    members: list[torch.optim.Optimizer] = [
        torch.optim.AdamW([g for g in groups if g["params"]], lr=config.learning_rate, betas=config.betas)
    ]
    if config.name == "muon":
        members.append(
            torch.optim.Muon(
                [p for p in parameters if id(p) in matrices],
                lr=config.muon_learning_rate,
                momentum=config.muon_momentum,
                weight_decay=config.weight_decay,
            )
        )
    return Optimizers(members)
