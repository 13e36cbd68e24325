"""What torch itself sees of a call: its own count of products, and the parameters that are read.

`torch.utils.flop_counter` counts what reaches the dispatcher, below functions, modules and autograd. It needs help with
products and distances that it has no formula for, and with kernels that hide their products.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from vtbench.cost.handles import cdist_macs, matmul_macs
from vtbench.cost.tracing import Mode


def flop_counter() -> FlopCounterMode:
    """Return torch's counter (2 x multiply-accumulate) with formulas for the products that it does not know."""
    return FlopCounterMode(display=False, custom_mapping=_UNKNOWN_TO_TORCH)


@contextmanager
def plain_kernels() -> Iterator[None]:
    """Keep torch off paths that cannot be counted.

    nn.MultiheadAttention's fused path hides its products; deterministic interpolation is written in Python and cannot
    be traced.
    """
    fused = torch.backends.mha.get_fastpath_enabled()
    deterministic = torch.are_deterministic_algorithms_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    # only where it changes something: the call imports torch's compiler
    if deterministic:
        torch.use_deterministic_algorithms(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
        if deterministic:
            torch.use_deterministic_algorithms(True)


class Reads(Mode):
    """Notes how much of a module's parameters operations read: each time again, of an embedding the rows looked up.

    Attributes:
        num_elements: how many elements were read.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self._sizes = {p.untyped_storage()._cdata: p.numel() for p in module.parameters()}
        self.num_elements = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        result = func(*args, **(kwargs or {}))
        if func.is_view:
            return result
        for value in args:
            for tensor in value if isinstance(value, (list, tuple)) else (value,):
                if isinstance(tensor, Tensor) and (key := tensor.untyped_storage()._cdata) in self._sizes:
                    looked_up = result if func is torch.ops.aten.embedding.default else tensor
                    self.num_elements += min(looked_up.numel(), self._sizes[key])
        return result


def _product(a: Any, b: Any, *args: Any, out_shape: Any = None, **kwargs: Any) -> int:
    return 2 * matmul_macs(a, b)


def _added_product(bias: Any, a: Any, b: Any, *args: Any, out_shape: Any = None, **kwargs: Any) -> int:
    return 2 * matmul_macs(a, b)


def _distances(a: Any, b: Any, *args: Any, out_shape: Any = None, **kwargs: Any) -> int:
    return 2 * cdist_macs(a, b)


def _distances_backward(gradient: Any, a: Any, b: Any, *args: Any, out_shape: Any = None, **kwargs: Any) -> int:
    return 2 * cdist_macs(a, b)


_UNKNOWN_TO_TORCH = {
    torch.ops.aten.mv: _product,
    torch.ops.aten.dot: _product,
    torch.ops.aten.addmv: _added_product,
    torch.ops.aten.addbmm: _added_product,
    torch.ops.aten._cdist_forward: _distances,
    torch.ops.aten._euclidean_dist: _distances,  # what `cdist` becomes for many rows; its backward pass is of products
    torch.ops.aten._cdist_backward: _distances_backward,
}
"""Products for which `FlopCounterMode` has no formula of its own."""
