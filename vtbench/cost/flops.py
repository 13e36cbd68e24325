"""Arithmetic of a module: counted twice, and refused where the two counts differ.

fvcore counts on a trace, with this package's handles; torch's `FlopCounterMode` counts what reaches the dispatcher.
Both run on the meta device, so the size of the model does not matter. A matrix product that neither could see (a
custom kernel, an operation without a handle) is an error as well: a partial count looks like a cheap model.
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode
from torch.utils.flop_counter import FlopCounterMode

from vtbench.cost.conventions import convention
from vtbench.cost.handles import HANDLES, is_product, matmul_macs
from vtbench.cost.tracing import integer_sizes
from vtbench.errors import CostError

with warnings.catch_warnings():
    # Importing fvcore compiles losses of its own with torch.jit.script, which torch has deprecated.
    warnings.filterwarnings("ignore", category=FutureWarning, message=".*torch.jit")
    warnings.filterwarnings("ignore", category=DeprecationWarning, message=".*torch.jit")
    from fvcore.nn import FlopCountAnalysis

_Module = TypeVar("_Module", bound=nn.Module)

TOLERANCE = 0.01
"""Largest relative difference between the two counts."""


@dataclass(frozen=True, kw_only=True)
class FlopCount:
    """Multiply-accumulates of one call.

    Attributes:
        macs: of all matrix products; norms, activations, interpolation and look-ups count nothing.
        by_module: of each submodule, its children included; "" is the whole.
        by_op: of each kind of product.
        free_ops: how often each operation ran that counts nothing.
        coverage: this count over torch's own, 1.0 when they agree.
        tool: what counted.
    """

    macs: int
    by_module: Mapping[str, int]
    by_op: Mapping[str, int]
    free_ops: Mapping[str, int]
    coverage: float
    tool: str = "fvcore with vtbench's handles, checked by torch.utils.flop_counter"

    @property
    def flops(self) -> int:
        """The figure under the convention `full`: 2 x multiply-accumulate, attention included."""
        return convention("full").apply(self.macs)


def count_flops(module: nn.Module, *inputs: Tensor) -> FlopCount:
    """Count one call `module(*inputs)` in evaluation mode.

    Args:
        module: takes tensors and returns a tensor or a tuple of them, each depending on the inputs. It may be on any
            device and is not touched: a copy without data is made on the meta device.
        inputs: only their shapes and dtypes matter.

    Raises:
        CostError: an operation cannot be counted, or the two counts differ by more than `TOLERANCE`; names it and its
            module.
    """
    twin = on_meta(module).eval()
    tensors = tuple(tensor.to("meta") for tensor in inputs)
    with torch.no_grad(), _plain_kernels():
        twin(*tensors)  # fills caches: what a model derives once is no cost of a call
        analysis = _analyse(twin, tensors)
        by_module = {name: int(macs) for name, macs in analysis.by_module().items()}
        by_op = {name: int(macs) for name, macs in analysis.by_operator().items()}
        free_ops = dict(analysis.unsupported_ops())
        _refuse_uncounted(analysis)
        coverage = _cross_check(twin, tensors, by_module, by_op)
    return FlopCount(macs=by_module[""], by_module=by_module, by_op=by_op, free_ops=free_ops, coverage=coverage)


def on_meta(module: _Module) -> _Module:
    """Return a copy of a module whose parameters and buffers are on the meta device; no data are copied."""
    memo: dict[int, Any] = {}
    for parameter in module.parameters():
        memo[id(parameter)] = nn.Parameter(
            torch.empty_like(parameter, device="meta"), requires_grad=parameter.requires_grad
        )
    for buffer in module.buffers():
        memo[id(buffer)] = torch.empty_like(buffer, device="meta")
    return copy.deepcopy(module, memo)


def _analyse(module: nn.Module, inputs: tuple[Tensor, ...]) -> FlopCountAnalysis:
    analysis = FlopCountAnalysis(module, inputs).clear_op_handles().set_op_handle(**HANDLES)
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    with integer_sizes(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning, message=".*torch.jit.*")
        analysis.total()
    return analysis


def _refuse_uncounted(analysis: FlopCountAnalysis) -> None:
    for op in analysis.unsupported_ops():
        if is_product(op):
            place = _deepest({name for name in analysis.by_module() if op in analysis.unsupported_ops(name)})
            raise CostError(
                f"{op} in {place} cannot be counted: it may do the work of a matrix product and has no handle."
                " Write it with matmul, einsum or scaled_dot_product_attention, or add it to vtbench/cost/handles.py."
            )


def _cross_check(
    module: nn.Module, inputs: tuple[Tensor, ...], by_module: Mapping[str, int], by_op: Mapping[str, int]
) -> float:
    """Return our count over torch's, distances left out of both; raise a `CostError` if they differ."""
    counter = FlopCounterMode(display=False, custom_mapping=_UNKNOWN_TO_TORCH)
    distances = _Distances(counter.get_total_flops)
    with counter, distances:
        module(*inputs)
    ours = 2 * (by_module[""] - by_op.get("cdist", 0))
    theirs = counter.get_total_flops() - distances.flops
    if abs(ours - theirs) <= TOLERANCE * max(ours, theirs):
        return ours / theirs if theirs else 1.0
    root = type(module).__name__
    torch_counts = {name.removeprefix(root).removeprefix("."): ops for name, ops in counter.get_flop_counts().items()}
    far = TOLERANCE * max(ours, theirs)
    places = {n for n in by_module if abs(2 * by_module[n] - sum(torch_counts.get(n, {}).values())) > far}
    raise CostError(
        f"Two counts of {root} differ: fvcore {ours:,} FLOPs ({_listing(by_op)}), torch {theirs:,}"
        f" ({_listing(counter.get_flop_counts()['Global'])}); the difference lies in {_deepest(places)}."
        " An operation there is counted by one of them only; see vtbench/cost/handles.py."
    )


def _deepest(names: set[str]) -> str:
    name = max(names, key=lambda name: (name.count(".") + bool(name), name), default="")
    return f"module '{name}'" if name else "the outermost module"


def _listing(ops: Mapping[Any, int]) -> str:
    return ", ".join(str(op) for op in ops) or "nothing"


@contextmanager
def _plain_kernels() -> Iterator[None]:
    """Keep torch off paths that cannot be counted.

    nn.MultiheadAttention's fused path hides its products; deterministic interpolation is written in Python and cannot
    be traced.
    """
    fused = torch.backends.mha.get_fastpath_enabled()
    deterministic = torch.are_deterministic_algorithms_enabled()
    torch.backends.mha.set_fastpath_enabled(False)
    torch.use_deterministic_algorithms(False)
    try:
        yield
    finally:
        torch.backends.mha.set_fastpath_enabled(fused)
        torch.use_deterministic_algorithms(deterministic)


class _Distances(TorchFunctionMode):
    """Notes what torch counts inside `cdist`: nothing, or a product of another size, as the number of rows decides."""

    def __init__(self, total: Callable[[], int]) -> None:
        super().__init__()
        self._total = total
        self.flops = 0

    def __torch_function__(
        self, func: Callable[..., Any], types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        before = self._total()
        result = func(*args, **(kwargs or {}))
        if func is torch.cdist:
            self.flops += self._total() - before
        return result


def _product(a: Any, b: Any, *args: Any, out_shape: Any = None, **kwargs: Any) -> int:
    return 2 * matmul_macs(a, b)


def _added_product(bias: Any, a: Any, b: Any, *args: Any, out_shape: Any = None, **kwargs: Any) -> int:
    return 2 * matmul_macs(a, b)


_UNKNOWN_TO_TORCH = {
    torch.ops.aten.mv: _product,
    torch.ops.aten.dot: _product,
    torch.ops.aten.addmv: _added_product,
    torch.ops.aten.addbmm: _added_product,
}
"""Products for which `FlopCounterMode` has no formula of its own."""

# fvcore logs each operation it does not know; `FlopCount.free_ops` says the same.
logging.getLogger("fvcore.nn.jit_analysis").setLevel(logging.ERROR)
