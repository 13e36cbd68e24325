"""Arithmetic of a module: counted twice, and refused where the two counts differ.

fvcore counts on a trace, with this package's handles; torch's `FlopCounterMode` counts what reaches the dispatcher.
Both run on the meta device, so the size of the model does not matter. A matrix product that neither could see (a
custom kernel, an operation without a handle) is an error as well: a partial count looks like a cheap model.
"""

from __future__ import annotations

import copy
import logging
import warnings
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from vtbench.cost.dispatch import Reads, flop_counter, plain_kernels
from vtbench.cost.handles import HANDLES, Handle, is_product
from vtbench.cost.repeats import MARK, Repeats
from vtbench.cost.tracing import integer_sizes, known_kernels
from vtbench.errors import CostError
from vtbench.schema.convention import convention
from vtbench.schema.cost import ProductCount, ProductKind

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
        sequence: each product in the order in which it ran, with the deepest module that ran it.
        free_ops: how often each operation ran that counts nothing.
        weight_elements: elements of the parameters that its operations read, embeddings by the row.
        coverage: this count over torch's own, 1.0 when they agree.
        tool: what counted.
    """

    macs: int
    by_module: Mapping[str, int]
    by_op: Mapping[str, int]
    sequence: tuple[ProductCount, ...]
    free_ops: Mapping[str, int]
    weight_elements: int
    coverage: float
    tool: str = "fvcore with vtbench's handles, checked by torch.utils.flop_counter"

    @property
    def flops(self) -> int:
        """The figure under the convention `full`: 2 x multiply-accumulate, attention included."""
        return convention("full").apply(self.macs)

    @property
    def products(self) -> tuple[ProductCount, ...]:
        """The products, added up for each module and kind."""
        return merged(self.sequence)


def merged(products: Iterable[ProductCount]) -> tuple[ProductCount, ...]:
    """Return one product for each module, kind and visibility to hooks, in the order of their first appearance."""
    macs: Counter[tuple[str, ProductKind, bool]] = Counter()
    for product in products:
        macs[product.module, product.kind, product.hooked] += product.macs
    return tuple(ProductCount(module=m, kind=k, macs=n, hooked=h) for (m, k, h), n in macs.items() if n)


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
    return count_twin(on_meta(module).eval(), *(tensor.to("meta") for tensor in inputs))


def count_twin(twin: nn.Module, *inputs: Tensor) -> FlopCount:
    """Count like `count_flops` a module that is on the meta device and in evaluation mode, without making a copy."""
    with torch.no_grad(), _without_gradients(twin), plain_kernels(), known_kernels():
        seen = _observe(twin, inputs)
        count = _trace(twin, inputs, seen)
        if count.coverage != 1.0:
            # Perhaps the model derived something once, which is no cost of a call.
            seen = _observe(twin, inputs)
            count = _trace(twin, inputs, seen)
    if abs(count.coverage - 1) > TOLERANCE:
        raise _disagreement(twin, count, seen)
    return count


@contextmanager
def _without_gradients(module: nn.Module) -> Iterator[None]:
    """Let no parameter ask for gradients while inside: torch's counter fails on a module that returns such a one."""
    asked = [parameter for parameter in module.parameters() if parameter.requires_grad]
    for parameter in asked:
        parameter.requires_grad_(False)
    try:
        yield
    finally:
        for parameter in asked:
            parameter.requires_grad_(True)


@dataclass(frozen=True)
class _Seen:
    """What torch saw of a call: FLOPs in all, by module and operation, weights read, layers alike."""

    flops: int
    by_module: Mapping[str, Mapping[Any, int]]
    weight_elements: int
    repeats: Repeats


def _observe(twin: nn.Module, inputs: tuple[Tensor, ...]) -> _Seen:
    counter, reads, repeats = flop_counter(), Reads(twin), Repeats(twin)
    with repeats.watching(), counter, known_kernels(always_run=counter.flop_registry), reads:
        twin(*inputs)
    root = type(twin).__name__
    by_module = {name.removeprefix(root).removeprefix("."): ops for name, ops in counter.get_flop_counts().items()}
    return _Seen(counter.get_total_flops(), by_module, reads.num_elements, repeats)


def _trace(twin: nn.Module, inputs: tuple[Tensor, ...], seen: _Seen) -> FlopCount:
    """Return fvcore's count on a trace, in which a layer like an earlier one stands for that one's products."""
    leaders = seen.repeats.leaders(seen.by_module)
    sequence: list[ProductCount] = []
    with seen.repeats.left_out(leaders):
        analysis = _analyse(twin, inputs, sequence, leaders)
    _refuse_uncounted(analysis)
    free_ops = Counter(analysis.unsupported_ops())
    for leader in leaders.values():
        free_ops += analysis.unsupported_ops(leader)
    by_module = dict.fromkeys((name for name, _ in twin.named_modules()), 0)
    by_op: Counter[str] = Counter()
    for product in sequence:
        by_op[product.kind] += product.macs
        parts = product.module.split(".") if product.module else []
        for depth in range(len(parts) + 1):
            by_module[".".join(parts[:depth])] += product.macs
    flops = 2 * by_module[""]
    return FlopCount(
        macs=by_module[""],
        by_module=by_module,
        by_op=+by_op,
        sequence=tuple(sequence),
        free_ops=dict(free_ops),
        weight_elements=seen.weight_elements,
        coverage=flops / seen.flops if seen.flops else float(flops == 0),
    )


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


def _analyse(
    module: nn.Module, inputs: tuple[Tensor, ...], sequence: list[ProductCount], leaders: Mapping[str, str]
) -> FlopCountAnalysis:
    """Return fvcore's analysis, done; put each product into `sequence`, and those of leaders for layers left out."""
    hooked = _hooked_modules(module)

    def noting(handle: Handle) -> Handle:
        def note(args: Sequence[Any], outputs: Sequence[Any]) -> Counter[ProductKind]:
            counts = handle(args, outputs)
            place = _place(outputs)
            sequence.extend(
                ProductCount(module=place, kind=kind, macs=macs, hooked=place in hooked)
                for kind, macs in counts.items()
            )
            return counts

        return note

    def repeat(args: Sequence[Any], outputs: Sequence[Any]) -> Counter[ProductKind]:
        place = _place(outputs)
        leader = leaders[place]
        sequence.extend(
            product.model_copy(update={"module": place + product.module.removeprefix(leader)})
            for product in list(sequence)
            if product.module == leader or product.module.startswith(f"{leader}.")
        )
        return Counter()

    handles = {op: noting(handle) for op, handle in HANDLES.items()} | {MARK: repeat}
    analysis = FlopCountAnalysis(module, inputs).clear_op_handles().set_op_handle(**handles)
    analysis.unsupported_ops_warnings(False).uncalled_modules_warnings(False)
    with integer_sizes(), warnings.catch_warnings():
        warnings.filterwarnings("ignore", category=DeprecationWarning, message=".*torch.jit.*")
        analysis.total()
    return analysis


def _place(outputs: Sequence[Any]) -> str:
    """Return the deepest module that ran the traced operation with these outputs."""
    scope: str = outputs[0].node().scopeName()
    return scope.split("/")[-1]


def _hooked_modules(module: nn.Module) -> set[str]:
    """Return the modules that a hook on the usual leaf types reaches: linear layers and convolutions outside attention.

    Counters of this kind skip nn.MultiheadAttention whole. A module with `counts_as_multihead_attention` stands for
    one, for models whose published figures were counted with it.
    """
    skipped: list[str] = []
    hooked = set()
    for name, child in module.named_modules():
        if any(name.startswith(f"{outer}." if outer else "") for outer in skipped):
            continue
        if isinstance(child, nn.MultiheadAttention) or getattr(child, "counts_as_multihead_attention", False):
            skipped.append(name)
        elif isinstance(child, (nn.Linear, _ConvNd)):
            hooked.add(name)
    return hooked


def _refuse_uncounted(analysis: FlopCountAnalysis) -> None:
    for op in analysis.unsupported_ops():
        if is_product(op):
            place = _deepest({name for name in analysis.by_module() if op in analysis.unsupported_ops(name)})
            raise CostError(
                f"{op} in {place} cannot be counted: it may do the work of a matrix product and has no handle."
                " Write it with matmul, einsum or scaled_dot_product_attention, or add it to vtbench/cost/handles.py."
            )


def _disagreement(twin: nn.Module, count: FlopCount, seen: _Seen) -> CostError:
    """Return the error that says where the two counts differ."""
    root, far = type(twin).__name__, TOLERANCE * max(2 * count.macs, seen.flops)
    places = {
        name
        for name, macs in count.by_module.items()
        if abs(2 * macs - sum(seen.by_module.get(name, {}).values())) > far
    }
    return CostError(
        f"Two counts of {root} differ: fvcore {2 * count.macs:,} FLOPs ({_listing(count.by_op)}), torch {seen.flops:,}"
        f" ({_listing(seen.by_module['Global'])}); the difference lies in {_deepest(places)}."
        " An operation there is counted by one of them only; see vtbench/cost/handles.py."
    )


def _deepest(names: set[str]) -> str:
    name = max(names, key=lambda name: (name.count(".") + bool(name), name), default="")
    return f"module '{name}'" if name else "the outermost module"


def _listing(ops: Mapping[Any, int]) -> str:
    return ", ".join(str(op) for op in ops) or "nothing"


# fvcore logs each operation it does not know; `FlopCount.free_ops` says the same.
logging.getLogger("fvcore.nn.jit_analysis").setLevel(logging.ERROR)
