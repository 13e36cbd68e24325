"""Makes models and torch's tracer work on the meta device, where nothing is computed and any size is traced at once.

fvcore counts on a trace of `torch.jit`. While tracing, torch hands out sizes as tensors, which breaks torch's own meta
kernels written in Python (convolutions, for one) and any model that looks sizes up in a table. Two modes mend that:
sizes that a model reads are plain integers, and each kernel runs with the tracer off. What is traced is unchanged.

Torch's meta kernels take longer than a small model's real ones. `known_kernels` runs each only once for the same
shapes: the second of two equal layers costs a look-up.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from functools import cache
from typing import Any

import torch
from torch._C import DispatchKey
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

_SET_STATE: Callable[[Any], None] = torch._C._set_tracing_state  # type: ignore[attr-defined]
_TRACER = torch._C._dispatch_key_parse("Tracer")
_META = torch.device("meta")
_SIZES = {torch.Tensor.shape.__get__, torch.Tensor.size, torch.Tensor.numel, torch.numel}  # type: ignore[attr-defined]


@contextmanager
def integer_sizes() -> Iterator[None]:
    """Trace with integer sizes inside this context."""
    with ExitStack() as stack:
        stack.enter_context(_KernelsUntraced())
        stack.enter_context(_IntegerSizes())
        yield


def known_kernels(always_run: Container[Any] = ()) -> TorchDispatchMode:
    """Return a context in which a meta kernel whose result's form is known already is not run again.

    What it gives back is a new tensor of that form, and no mode below sees the call. Views, whatever writes to its
    inputs and what torch may decompose always run.

    Args:
        always_run: operations (without overload) that do so too.
    """
    return _KnownKernels(always_run)


@contextmanager
def _tracer_dispatch(enabled_by_state: bool) -> Iterator[None]:
    """Let the tracer's dispatch key through inside this context, which a kernel below the tracer has excluded."""
    include = torch._C._dispatch_tls_local_include_set()
    exclude = torch._C._dispatch_tls_local_exclude_set().remove(_TRACER)
    with torch._C._ForceDispatchKeyGuard(include.add(_TRACER) if enabled_by_state else include, exclude):
        yield


@contextmanager
def _untraced() -> Iterator[None]:
    state = torch._C._get_tracing_state()
    # torch refuses to change the state where the key is excluded, hence the guard around each change.
    with _tracer_dispatch(False):
        _SET_STATE(None)
    try:
        yield
    finally:
        with _tracer_dispatch(False):
            _SET_STATE(state)


class Mode(TorchDispatchMode):
    """A dispatch mode that is never compiled, so torch need not wrap each of its many calls against that."""

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False


class _KernelsUntraced(Mode):
    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        aten = torch.ops.aten
        if func is aten.convolution.default and torch._C._get_tracing_state() is not None:
            # A convolution is the one operation that the tracer records only on its way from here to the kernel.
            with _tracer_dispatch(True), self:
                return aten._convolution.default(*args, False, False, True, True)
        with _untraced():
            return func(*args, **(kwargs or {}))


class _IntegerSizes(TorchFunctionMode):
    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Sequence[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        if func in _SIZES:
            with _untraced():
                return func(*args, **(kwargs or {}))
        return func(*args, **(kwargs or {}))


_Form = tuple[Sequence[int], Sequence[int], torch.dtype]
"""Shape, strides and type of a tensor."""

_KNOWN: dict[Any, tuple[bool, list[_Form]]] = {}
"""Kernel and forms of its inputs -> whether it returns several tensors, and their forms."""
_MOST_KNOWN = 100_000


class _KnownKernels(Mode):
    """Answers from `_KNOWN` where it can."""

    def __init__(self, always_run: Container[Any]) -> None:
        super().__init__()
        self.always_run = always_run
        if len(_KNOWN) > _MOST_KNOWN:
            _KNOWN.clear()

    def __torch_dispatch__(
        self, func: Any, types: Sequence[type], args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        key: list[Any] | None = None
        if _makes_new_tensors(func) and func._overloadpacket not in self.always_run:
            # An operation lives as long as the process, and its own hash is slow.
            key = [id(func), torch.get_default_dtype()]
        if key is None or not _extend_key(key, args) or not _extend_key(key, kwargs.items()):
            return func(*args, **kwargs)
        try:
            known = _KNOWN.get(final := tuple(key))
        except TypeError:  # a value that has no hash
            return func(*args, **kwargs)
        if known is not None:
            several, forms = known
            with torch._C._DisableTorchDispatch():
                made = [torch.empty_strided(size, stride, dtype=dtype, device=_META) for size, stride, dtype in forms]
            return tuple(made) if several else made[0]
        result = func(*args, **kwargs)
        results = result if isinstance(result, tuple) else (result,)
        if all(isinstance(tensor, torch.Tensor) and tensor.is_meta for tensor in results):
            _KNOWN[final] = isinstance(result, tuple), [(t.shape, t.stride(), t.dtype) for t in results]
        return result


@cache
def _makes_new_tensors(func: Any) -> bool:
    schema = func._schema
    if func.has_kernel_for_dispatch_key(DispatchKey.CompositeImplicitAutograd):
        return False
    aliases = any(value.alias_info is not None for value in (*schema.arguments, *schema.returns))
    return bool(schema.returns) and not aliases and all(str(value.type) == "Tensor" for value in schema.returns)


def _extend_key(key: list[Any], values: Iterable[Any]) -> bool:
    """Append what a kernel's results depend on; return whether that is no more than forms and plain values."""
    for value in values:
        if isinstance(value, torch.Tensor):
            if not value.is_meta:
                return False
            key += (value.shape, value.stride(), value.dtype)
        elif isinstance(value, (list, tuple)):
            key.append(len(value))
            if not _extend_key(key, value):
                return False
        else:
            key += (type(value), value)  # the type too, as 1, 1.0 and True are equal keys
    return True
