"""FLOPs of a call on the meta device, with layers that were called alike before left out: what they do is known.

A tower of equal layers is the larger part of a model, and the models of a study share most of theirs, so that a plan's
arms are counted in a fraction of the time. Layers are alike as in `vtbench.cost.repeats`: the same classes, options and
shapes all the way down, called with inputs of the same form.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from vtbench.cost.dispatch import flop_counter
from vtbench.cost.repeats import candidates, form
from vtbench.cost.tracing import known_kernels


class KnownLayers:
    """What layers do when they are called with inputs of some form; grows as calls are counted."""

    def __init__(self) -> None:
        # the layer is kept so that no other object takes the identity of an option that its structure names
        self._known: dict[Hashable, tuple[int, Tensor, nn.Module]] = {}
        self._left_out = 0

    def flops(self, module: nn.Module, call: Callable[[], object]) -> int:
        """Return the FLOPs of a call of `module` or of parts of it, which must be on the meta device.

        Args:
            module: whose layers may be left out.
            call: what is counted.
        """
        counter = flop_counter()
        self._left_out = 0
        with counter, known_kernels(always_run=counter.flop_registry), self._watching(module, counter):
            call()
        return int(counter.get_total_flops()) + self._left_out

    @contextmanager
    def _watching(self, module: nn.Module, counter: FlopCounterMode) -> Iterator[None]:
        layers = [(module.get_submodule(name), structure) for name, (_, structure) in candidates(module).items()]
        for layer, structure in layers:
            layer.forward = self._replacement(layer, structure, counter)
        try:
            yield
        finally:
            for layer, _ in layers:
                del layer.forward

    def _replacement(self, layer: nn.Module, structure: Any, counter: FlopCounterMode) -> Callable[..., Any]:
        forward = layer.forward

        def known_or_forward(*args: Any, **kwargs: Any) -> Any:
            key = structure, form(args), form(kwargs)
            if key in self._known:
                flops, output, _ = self._known[key]
                self._left_out += flops
                return torch.empty_like(output)
            before = counter.get_total_flops() + self._left_out
            output = forward(*args, **kwargs)
            if isinstance(output, Tensor) and output.is_meta:
                self._known[key] = counter.get_total_flops() + self._left_out - before, output, layer
            return output

        return known_or_forward
