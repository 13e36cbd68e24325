"""One model in one process or several: copied to each (DDP), or divided among them (FSDP2).

`divide` comes before the optimisers are made, since it replaces the parameters; `Exchange` after. Modules that change
their parameters themselves (`StepState`: codebooks) are never divided: their gradients are averaged on their own.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as dist
from torch.nn.parallel import DistributedDataParallel

from vtbench.distributed import collectives
from vtbench.models.nn.step_state import step_states
from vtbench.train.divided import is_divided, is_divided_model, local

_NAMES = signature(DistributedDataParallel).parameters
_KEEP_STATE: dict[str, Any] = {
    "forward_sync_buffers" if "forward_sync_buffers" in _NAMES else "broadcast_buffers": False  # renamed in torch 2.15
}


def divide(model: nn.Module, device: torch.device) -> set[nn.Parameter]:
    """Divide a model's weights among the processes, layer by layer; alone, leave it as it is.

    Args:
        model: on its device, the same in every process.
        device: where it is.

    Returns:
        The parameters that every process keeps whole.
    """
    if not collectives.together():
        return set()
    from torch.distributed.device_mesh import init_device_mesh
    from torch.distributed.fsdp import fully_shard

    whole = {p for part in step_states(model) if isinstance(part, nn.Module) for p in part.parameters()}
    # The model's output is a view. What torch warns of, changing it in place, is done nowhere.
    warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view", category=UserWarning)
    mesh = init_device_mesh(device.type, (dist.get_world_size(),))
    for layer in layers(model):
        fully_shard(layer, mesh=mesh, reshard_after_forward=True)
    fully_shard(model, mesh=mesh, reshard_after_forward=True, ignored_params=whole)
    return whole


def layers(model: nn.Module) -> list[nn.Module]:
    """Return the layers of a model's stacks: what stands in a `ModuleList` and is itself made of modules.

    What stands inside a layer is a part of it, and a list of plain heads or embeddings is no stack.
    """
    found: list[nn.Module] = []
    for module in model.children():
        if isinstance(module, nn.ModuleList):
            found += [layer for layer in module if next(layer.children(), None) is not None]
        else:
            found += layers(module)
    return found


class Exchange:
    """Runs a model and exchanges its gradients with the other processes.

    Args:
        model: the model, divided or not.
        whole: what `divide` returned, if the model is divided.
        compiled: whether to compile it.

    Attributes:
        forward: runs the model; to be used in the place of calling it.
    """

    def __init__(self, model: nn.Module, whole: set[nn.Parameter], compiled: bool = False) -> None:
        self._model, self._whole = model, whole
        self._copies: DistributedDataParallel | None = None
        if collectives.together() and not is_divided_model(model):
            # A codebook that is not used yet gives no gradient. State needs no broadcast: all processes agree on it.
            self._copies = DistributedDataParallel(model, find_unused_parameters=True, **_KEEP_STATE)
        runs: Callable[..., Any] = self._copies or model
        self.forward: Callable[..., Any] = torch.compile(runs) if compiled else runs

    @contextmanager
    def part(self, last: bool) -> Iterator[None]:
        """Run forward and backward of a part of the batch inside; with the last one, gradients are exchanged."""
        if is_divided_model(self._model):
            self._model.set_requires_gradient_sync(last)
        elif self._copies is not None and not last:
            with self._copies.no_sync():
                yield
            return
        yield

    def finish(self) -> None:
        """Exchange what the last part's backward has not."""
        model = self._model
        if is_divided_model(self._model):
            collectives.mean_gradients(in_order(model, self._whole))

    def clip(self, limit: float) -> Tensor:
        """Scale gradients so that their norm is at most `limit`, and return the norm before, the same in all."""
        parameters = list(self._model.parameters())
        if not is_divided_model(self._model):
            return nn.utils.clip_grad_norm_(parameters, limit)
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        squares = {
            True: torch.zeros((), device=gradients[0].device),
            False: torch.zeros((), device=gradients[0].device),
        }
        for gradient in gradients:
            squares[is_divided(gradient)] += local(gradient).float().square().sum()
        dist.all_reduce(squares[True])
        norm = (squares[True] + squares[False]).sqrt()
        factor = (limit / (norm + 1e-6)).clamp(max=1.0)
        torch._foreach_mul_([local(gradient) for gradient in gradients], factor)
        return norm


def in_order(model: nn.Module, wanted: set[nn.Parameter]) -> list[nn.Parameter]:
    """Return parameters in the model's order, which is the same in every process."""
    return [parameter for parameter in model.parameters() if parameter in wanted]
