"""Memory that a call's activations take, counted on the meta device.

Every floating tensor is taken as bf16, other tensors as they are. `scaled_dot_product_attention`, RMSNorm and dropout
are taken as the fused kernels that GPUs have: attention keeps queries, keys, values, its output and one fp32 number a
row, never the scores; RMSNorm its input and one fp32 number a row; dropout a byte for each element. All other
operations run one by one, each with a result of its own; so does attention within nn.MultiheadAttention, which cannot
be seen into.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.multiprocessing.reductions import StorageWeakRef
from torch.nn import functional as F
from torch.overrides import TorchFunctionMode
from torch.utils._pytree import tree_leaves

from vtbench.cost.dispatch import plain_kernels
from vtbench.cost.tracing import Mode, known_kernels

BYTES_PER_FLOAT = 2
"""Of bf16, which weights, keys, values and activations are taken to be in."""


def live_bytes(module: nn.Module, *inputs: Tensor) -> int:
    """Return the most bytes that live at once in one call without gradients: inputs and results, but no weights.

    Args:
        module: on the meta device, in evaluation mode, and called before, so that its caches are filled.
        inputs: on the meta device.
    """
    with torch.no_grad(), plain_kernels(), known_kernels(), _Fused(), _Live(module, inputs) as live:
        module(*inputs)
    return live.peak


def saved_bytes(module: nn.Module, *inputs: Tensor) -> int:
    """Return the bytes that one call keeps for its backward pass, each storage once, weights and buffers left out.

    Args:
        module: on the meta device and called before; in training mode, what dropout keeps is counted too.
        inputs: on the meta device.
    """
    known = _storages([*module.parameters(), *module.buffers()])
    kept: dict[int, Tensor] = {}

    def keep(tensor: Tensor) -> Tensor:
        kept.setdefault(_storage(tensor), tensor)
        return tensor

    with plain_kernels(), known_kernels(), _Fused(), torch.autograd.graph.saved_tensors_hooks(keep, lambda t: t):
        results = module(*inputs)  # holds the graph while it is counted
        total = sum(_num_bytes(tensor) for key, tensor in kept.items() if key not in known)
        del results
    return total


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage()._cdata


def _storages(tensors: Sequence[Tensor]) -> set[int]:
    return {_storage(tensor) for tensor in tensors}


def _num_bytes(tensor: Tensor) -> int:
    """Return the size of a tensor's storage, floats taken as bf16."""
    size = tensor.untyped_storage().nbytes()
    if not tensor.is_floating_point():
        return size
    return size // tensor.element_size() * BYTES_PER_FLOAT


class _Live(Mode):
    """Follows the storages that a call makes; `peak` is the most that they took at once."""

    def __init__(self, module: nn.Module, inputs: Sequence[Tensor]) -> None:
        super().__init__()
        self._fixed = _storages([*module.parameters(), *module.buffers()])
        self._alive: dict[int, tuple[StorageWeakRef, int]] = {}
        self._note(inputs)
        self.peak = self._total()

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        self._note([leaf for leaf in tree_leaves(result) if isinstance(leaf, Tensor)])
        self.peak = max(self.peak, self._total())
        return result

    def _note(self, tensors: Sequence[Tensor]) -> None:
        self._alive = {key: held for key, held in self._alive.items() if not held[0].expired()}
        for tensor in tensors:
            key = _storage(tensor)
            if key not in self._fixed and key not in self._alive:
                self._alive[key] = StorageWeakRef(tensor.untyped_storage()), _num_bytes(tensor)

    def _total(self) -> int:
        return sum(size for _, size in self._alive.values())


class _Fused(TorchFunctionMode):
    """Replaces attention, RMSNorm and dropout by what their fused kernels allocate and keep; nothing is computed."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        kwargs = kwargs or {}
        if func is F.scaled_dot_product_attention:
            named = dict(zip(("query", "key", "value"), args, strict=False)) | kwargs
            return _Attention.apply(named["query"], named["key"], named["value"])
        if func is F.rms_norm:
            named = dict(zip(("input", "normalized_shape", "weight"), args, strict=False)) | kwargs
            return _RmsNorm.apply(named["input"], len(named["normalized_shape"]), named.get("weight"))
        if func is F.dropout:
            named = dict(zip(("input", "p", "training"), args, strict=False)) | kwargs
            if named.get("training", True) and named.get("p", 0.5) > 0:
                return _Dropout.apply(named["input"])
        return func(*args, **kwargs)


class _Attention(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, q: Tensor, k: Tensor, v: Tensor) -> Tensor:
        # The kernels lay their output out head beside head, so that joining the heads takes no copy.
        *batch, heads, rows, _ = q.shape
        out = q.new_empty(*batch, rows, heads, v.shape[-1]).transpose(-3, -2)
        ctx.save_for_backward(q, k, v, out, q.new_empty(q.shape[:-1], dtype=_ROWS))
        return out


class _RmsNorm(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor, num_axes: int, weight: Tensor | None) -> Tensor:
        rows = x.new_empty(x.shape[:-num_axes], dtype=_ROWS)
        ctx.save_for_backward(x, rows, *([] if weight is None else [weight]))
        return torch.empty_like(x)


class _Dropout(torch.autograd.Function):
    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        ctx.save_for_backward(torch.empty_like(x, dtype=torch.bool))
        return torch.empty_like(x)


_ROWS = torch.int32
"""Stands for fp32, which here would be taken as bf16."""
