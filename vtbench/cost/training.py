"""A training step's arithmetic, product by product: the forward pass and all that goes back through it.

Forward and backward are run on the meta device under torch's counter. The forward pass must be the one that
`count_flops` traced, product for product; what a backward operation multiplies is given to the product of the forward
pass that it belongs to, which autograd's sequence numbers tell. Attention is taken as written out, so its backward is
twice its forward; a fused kernel that computes the scores again does half as much more.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from vtbench.cost.dispatch import flop_counter, plain_kernels
from vtbench.cost.flops import FlopCount, count_twin, merged, on_meta
from vtbench.cost.tracing import Mode, known_kernels
from vtbench.errors import CostError
from vtbench.schema.cost import ProductCount


@dataclass(frozen=True, kw_only=True)
class TrainingCount:
    """Multiply-accumulates of a forward and a backward pass.

    Attributes:
        forward: the forward pass alone.
        products: of both passes, each backward product under the module and kind of its forward product.
    """

    forward: FlopCount
    products: tuple[ProductCount, ...]

    @property
    def macs(self) -> int:
        """Multiply-accumulates of both passes."""
        return sum(product.macs for product in self.products)


def count_training(module: nn.Module, *inputs: Tensor) -> TrainingCount:
    """Count one call `module(*inputs)` and the gradients of its parameters, in evaluation mode.

    Dropout and what a quantiser does for itself in training multiply no matrices, so evaluation mode costs the same.

    Args:
        module: as for `count_flops`; at least one result must depend on a parameter that requires gradients.
        inputs: only their shapes and dtypes matter; no gradients are computed for them.

    Raises:
        CostError: an operation cannot be counted, forward or backward, or the forward pass with gradients is not the
            one without.
    """
    twin = on_meta(module).eval()
    tensors = tuple(tensor.to("meta") for tensor in inputs)
    forward = count_twin(twin, *tensors)
    counter = flop_counter()
    record, others = _Record(counter), known_kernels(always_run=counter.flop_registry)
    with plain_kernels(), known_kernels(), counter, record, others:
        results = twin(*tensors)
        results = results if isinstance(results, tuple) else (results,)
        roots = [result.sum() for result in results if result.requires_grad]
        if not roots:
            raise CostError(f"{type(module).__name__} has nothing to train: no result depends on a parameter")
        torch.stack(roots).sum().backward()
    products = _assign(forward.sequence, record, type(module).__name__)
    return TrainingCount(forward=forward, products=products)


def _assign(sequence: Sequence[ProductCount], record: _Record, name: str) -> tuple[ProductCount, ...]:
    """Return the products of both passes: each backward product goes to the traced product it comes from."""
    owners: dict[int, ProductCount] = {}
    done = iter(record.forward)
    for product in sequence:
        macs = 0
        while macs < product.macs and (ran := next(done, None)) is not None:
            macs += ran.macs
            owners.setdefault(ran.node, product)
        if macs != product.macs:
            raise CostError(
                f"The forward pass of {name} does other products in training than without gradients: {product.kind} in"
                f" {_place(product.module)} was traced with {product.macs:,} MACs and ran with {macs:,}."
            )
    if (extra := next(done, None)) is not None:
        raise CostError(f"The forward pass of {name} ran {extra.op} with gradients, which was not traced without.")
    backward: list[ProductCount] = []
    for (node, op), macs in record.backward.items():
        if node not in owners:
            raise CostError(f"{op} in the backward pass of {name} belongs to no product of the forward pass.")
        backward.append(owners[node].model_copy(update={"macs": macs}))
    return merged([*sequence, *backward])


def _place(module: str) -> str:
    return f"module '{module}'" if module else "the outermost module"


@dataclass(frozen=True)
class _Ran:
    """One product of the forward pass, with the sequence number of the autograd node that it made, if it made one."""

    op: str
    macs: int
    node: int


class _Record(Mode):
    """Notes the products that torch's counter has a figure for: forward in order, backward by autograd node."""

    def __init__(self, counter: FlopCounterMode) -> None:
        super().__init__()
        self.counter = counter
        self.forward: list[_Ran] = []
        self.backward: Counter[tuple[int, str]] = Counter()

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        before = self.counter.get_total_flops()
        result = func(*args, **(kwargs or {}))
        if flops := self.counter.get_total_flops() - before:
            node = torch._C._current_autograd_node()
            if node is None:
                # Autograd made this operation's node just before it; without gradients the number is an older node's.
                self.forward.append(_Ran(str(func), flops // 2, _last_node()))
            else:
                self.backward[node._sequence_nr(), str(func)] += flops // 2
        return result


def _last_node() -> int:
    """Return the sequence number of the autograd node that was made last."""
    number: int = torch.autograd._get_sequence_nr()
    return number - 1
