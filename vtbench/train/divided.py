"""Tensors that several processes hold in pieces (FSDP2), and how a checkpoint sees them: whole.

A checkpoint of a divided model is the one that a single process would have written, and either loads either.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any, TypeGuard

from torch import Tensor

if TYPE_CHECKING:
    from torch.distributed.fsdp import FSDPModule
    from torch.distributed.tensor import DTensor


def is_divided(value: object) -> TypeGuard[DTensor]:
    """Return whether a value is a tensor that several processes hold in pieces."""
    # whoever made one has imported the module, which takes a second that no other command should pay
    module = sys.modules.get("torch.distributed.tensor")
    return module is not None and isinstance(value, module.DTensor)


def is_divided_model(model: object) -> TypeGuard[FSDPModule]:
    """Return whether a model's weights are held so."""
    module = sys.modules.get("torch.distributed.fsdp")
    return module is not None and isinstance(model, module.FSDPModule)


def local(tensor: Tensor) -> Tensor:
    """Return this process's piece of a tensor, sharing its memory; a whole one is returned as it is."""
    return tensor.to_local() if is_divided(tensor) else tensor


def whole(tree: Any, keep: bool = True) -> Any:
    """Return nested state with every divided tensor put together, on the CPU; every process must call it.

    Args:
        tree: tensors and plain values in dicts, lists and tuples.
        keep: whether this process wants the result; if not, it only gives its pieces.
    """
    if isinstance(tree, dict):
        return {key: whole(value, keep) for key, value in tree.items()}
    if isinstance(tree, list | tuple):
        return type(tree)(whole(value, keep) for value in tree)
    if is_divided(tree):
        full = tree.full_tensor()
        return full.cpu() if keep else None
    return tree


def alike(tensor: Tensor, model: Tensor) -> Tensor:
    """Return a whole tensor divided as `model` is; each process gives the same whole one and keeps its piece."""
    if not is_divided(model):
        return tensor
    from torch.distributed.tensor import distribute_tensor

    moved = tensor.to(model.device)
    return distribute_tensor(moved, model.device_mesh, model.placements, src_data_rank=None)
