"""Makes models and torch's tracer work on the meta device, where nothing is computed and any size is traced at once.

fvcore counts on a trace of `torch.jit`. While tracing, torch hands out sizes as tensors, which breaks torch's own meta
kernels written in Python (convolutions, for one) and any model that looks sizes up in a table. Two modes mend that:
sizes that a model reads are plain integers, and each kernel runs with the tracer off. What is traced is unchanged.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch.overrides import TorchFunctionMode
from torch.utils._python_dispatch import TorchDispatchMode

_SET_STATE: Callable[[Any], None] = torch._C._set_tracing_state  # type: ignore[attr-defined]
_TRACER = torch._C._dispatch_key_parse("Tracer")
_SIZES = {torch.Tensor.shape.__get__, torch.Tensor.size, torch.Tensor.numel, torch.numel}  # type: ignore[attr-defined]


@contextmanager
def integer_sizes() -> Iterator[None]:
    """Trace with integer sizes inside this context."""
    with ExitStack() as stack:
        stack.enter_context(_KernelsUntraced())
        stack.enter_context(_IntegerSizes())
        yield


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


class _KernelsUntraced(TorchDispatchMode):
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
