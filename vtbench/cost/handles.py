"""Multiply-accumulates of every traced operation that does the work of a matrix product.

fvcore's own handles miss attention, distances, broadcast and matrix-vector products, round einsum to four digits, and
mix norms' elements into the sum; these replace them all. A handle gets the traced inputs and outputs and returns an
exact integer. Biases are not counted.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from math import prod
from typing import Any

from vtbench.schema.cost import ProductKind

Handle = Callable[[Sequence[Any], Sequence[Any]], Counter[ProductKind]]
Shape = Sequence[int]

_PRODUCT = re.compile(
    r"attention|matmul|mm($|_)|mv$|dot$|conv|einsum|lstm|gru|rnn|cdist|pdist|linear|inner$|transformer"
    r"|::_?(bi|tri)linear$|::linalg_(?!vector_norm|norm|matrix_norm|cross)|::fft_"
)
_NOT_A_PRODUCT = re.compile(r"^aten::(_?upsample|grid_sampler|log_softmax|linear_interp)")


def is_product(op: str) -> bool:
    """Return whether a traced operation (`aten::...`) does a matrix product's work, or hides what it does.

    Custom kernels, scripted functions and autograd functions hide it.
    """
    if not op.startswith("aten::"):
        return True
    return bool(_PRODUCT.search(op)) and not _NOT_A_PRODUCT.match(op)


def matmul_macs(a: Shape, b: Shape) -> int:
    """Return the multiply-accumulates of `a @ b`: vectors, matrices, and batches of them that broadcast."""
    rows = a[-2] if len(a) > 1 else 1
    columns = b[-1] if len(b) > 1 else 1
    return prod(_broadcast(a[:-2], b[:-2])) * rows * a[-1] * columns


def attention_macs(q: Shape, k: Shape, v: Shape) -> int:
    """Return those of scaled dot-product attention: scores and weighted sum, a causal mask not subtracted.

    Batches broadcast. With grouped heads each query head multiplies, however many share a key head.
    """
    return prod(_broadcast(q[:-2], k[:-2])) * q[-2] * k[-2] * (q[-1] + v[-1])


def cdist_macs(a: Shape, b: Shape) -> int:
    """Return those of all pairwise distances between rows, whatever the norm: one per pair and coordinate."""
    return prod(_broadcast(a[:-2], b[:-2])) * a[-2] * b[-2] * a[-1]


def conv_macs(x: Shape, weight: Shape, out: Shape, transposed: bool) -> int:
    """Return those of a convolution, positions in the padding included."""
    return x[0] * prod(weight) * prod((x if transposed else out)[2:])


def einsum_macs(equation: str, shapes: Sequence[Shape], path: Sequence[int] | None = None) -> int:
    """Return those of an einsum, contracted two operands at a time as torch does it.

    Args:
        equation: with or without `->` and `...`.
        shapes: of the operands.
        path: positions of the two operands of each contraction; None contracts from left to right.
    """
    terms, output = _expand_ellipsis(equation.replace(" ", ""), shapes)
    operands = [dict(zip(term, shape, strict=True)) for term, shape in zip(terms, shapes, strict=True)]
    steps = [(path[i], path[i + 1]) for i in range(0, len(path), 2)] if path else [(0, 1)] * (len(operands) - 1)
    macs = 0
    for first, second in steps:
        a, b = operands[first], operands[second]
        rest = [operand for i, operand in enumerate(operands) if i not in (first, second)]
        kept = set(output).union(*rest)
        # An index that only one operand has, or has at more than length 1, is summed away before the product.
        summed = [a[i] for i in a if i in b and i not in kept and min(a[i], b[i]) > 1]
        result = {i: max(a.get(i, 1), b.get(i, 1)) for i in [*a, *b] if i in kept}
        if summed:  # else it is an elementwise product
            macs += prod(result.values()) * prod(summed)
        operands = [*rest, result] if path else [result, *rest]
    return macs


def _expand_ellipsis(equation: str, shapes: Sequence[Shape]) -> tuple[list[list[str]], list[str]]:
    """Return each operand's and the result's indices, `...` replaced by numbered ones counted from the right."""
    left, arrow, right = equation.partition("->")
    written = left.split(",")
    hidden = [len(shape) - len(term.replace("...", "")) for term, shape in zip(written, shapes, strict=True)]
    batch = [f".{i}" for i in range(max(hidden), 0, -1)]
    terms = []
    for term, num in zip(written, hidden, strict=True):
        before, dots, after = term.partition("...")
        terms.append([*before, *(batch[len(batch) - num :] if dots else []), *after])
    if arrow:
        before, dots, after = right.partition("...")
        return terms, [*before, *(batch if dots else []), *after]
    counts = Counter(index for term in written for index in term.replace("...", ""))
    return terms, [*(batch if "..." in left else []), *sorted(i for i, n in counts.items() if n == 1)]


def _broadcast(a: Shape, b: Shape) -> list[int]:
    length = max(len(a), len(b))
    padded = ([1] * (length - len(shape)) + list(shape) for shape in (a, b))
    return [max(pair) for pair in zip(*padded, strict=True)]


def _shape(value: Any) -> list[int]:
    """Return the shape of a traced tensor."""
    sizes: list[int] = value.type().sizes()
    return sizes


def _on_shapes(name: ProductKind, macs: Callable[..., int], *inputs: int) -> Handle:
    """Return a handle that gives the shapes of these inputs to `macs`."""

    def handle(args: Sequence[Any], outputs: Sequence[Any]) -> Counter[ProductKind]:
        return Counter({name: macs(*(_shape(args[i]) for i in inputs))})

    return handle


def _linear(args: Sequence[Any], outputs: Sequence[Any]) -> Counter[ProductKind]:
    return Counter({"linear": prod(_shape(args[0])) * prod(_shape(args[1])[:-1])})


def _conv(args: Sequence[Any], outputs: Sequence[Any]) -> Counter[ProductKind]:
    transposed = bool(args[6].toIValue())
    return Counter({"conv": conv_macs(_shape(args[0]), _shape(args[1]), _shape(outputs[0]), transposed)})


def _conv_same(args: Sequence[Any], outputs: Sequence[Any]) -> Counter[ProductKind]:
    return Counter({"conv": conv_macs(_shape(args[0]), _shape(args[1]), _shape(outputs[0]), False)})


def _einsum(args: Sequence[Any], outputs: Sequence[Any]) -> Counter[ProductKind]:
    shapes = [_shape(value) for value in args[1].node().inputs()]
    path = args[2].toIValue() if len(args) > 2 else None
    return Counter({"einsum": einsum_macs(args[0].toIValue(), shapes, path)})


HANDLES: Mapping[str, Handle] = {
    "aten::linear": _linear,
    "aten::matmul": _on_shapes("matmul", matmul_macs, 0, 1),
    "aten::mm": _on_shapes("matmul", matmul_macs, 0, 1),
    "aten::bmm": _on_shapes("matmul", matmul_macs, 0, 1),
    "aten::mv": _on_shapes("matmul", matmul_macs, 0, 1),
    "aten::dot": _on_shapes("matmul", matmul_macs, 0, 1),
    "aten::addmm": _on_shapes("matmul", matmul_macs, 1, 2),
    "aten::addmv": _on_shapes("matmul", matmul_macs, 1, 2),
    "aten::baddbmm": _on_shapes("matmul", matmul_macs, 1, 2),
    "aten::addbmm": _on_shapes("matmul", matmul_macs, 1, 2),
    "aten::einsum": _einsum,
    "aten::_convolution": _conv,
    "aten::_convolution_mode": _conv_same,
    "aten::scaled_dot_product_attention": _on_shapes("attention", attention_macs, 0, 1, 2),
    "aten::cdist": _on_shapes("cdist", cdist_macs, 0, 1),
}
"""Traced operation -> its handle."""
