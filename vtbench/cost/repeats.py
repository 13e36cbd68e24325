"""Layers that are called alike, of which only the first need be traced.

Two members of one nn.ModuleList or nn.Sequential are alike if they have the same classes, options and shapes all the
way down, were each called once, with inputs and an output of the same form, and did the same by torch's own count,
operation by operation. While a model is traced, what is alike to an earlier member leaves a mark in the trace instead
of running; the caller puts that member's products in its place. Only what maps its first input to the same form can be
left out, so that the trace stays connected.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

MARK = "vtbench::repeat"
"""The traced operation that stands for a layer left out; its scope says which."""

_LIBRARY = torch.library.Library("vtbench", "DEF")
_LIBRARY.define("repeat(Tensor x) -> Tensor")
_LIBRARY.impl("repeat", torch.empty_like, "Meta")

_COMMON = vars(nn.Module()).keys()
_PLAIN = (bool, int, float, str, type(None), torch.dtype)


class Repeats:
    """Watches one call of a module for layers that repeat.

    Args:
        module: on the meta device.
    """

    def __init__(self, module: nn.Module) -> None:
        self.module = module
        self._candidates = candidates(module)
        self._calls: dict[str, list[Any]] = {}

    @contextmanager
    def watching(self) -> Iterator[None]:
        """Note the calls of layers inside this context."""
        self._calls = {}
        with ExitStack() as stack:
            for name in self._candidates:
                hook = self.module.get_submodule(name).register_forward_hook(self._note(name), with_kwargs=True)
                stack.callback(hook.remove)
            yield

    def _note(self, name: str) -> Any:
        def hook(module: nn.Module, args: Any, kwargs: Any, output: Any) -> None:
            first = form(args[0]) if args else None
            self._calls.setdefault(name, []).append((form((args, kwargs)), form(output), first))

        return hook

    def leaders(self, work: Mapping[str, Mapping[Any, int]]) -> dict[str, str]:
        """Return, for each layer that repeats an earlier one, that one; both by their paths.

        Args:
            work: torch's count of the same call, operation by operation, for each module that did any.
        """
        firsts: dict[Any, str] = {}
        leaders: dict[str, str] = {}
        for name, calls in self._calls.items():
            inputs, output, first_input = calls[0]
            if len(calls) > 1 or output != first_input:
                continue
            key = self._candidates[name], inputs, tuple(sorted((str(op), n) for op, n in work.get(name, {}).items()))
            leader = firsts.setdefault(key, name)
            if leader != name:
                leaders[name] = leader
        return leaders

    @contextmanager
    def left_out(self, names: Mapping[str, str]) -> Iterator[None]:
        """Let the layers of these names only mark the trace inside this context."""
        modules = [self.module.get_submodule(name) for name in names]
        try:
            for module in modules:
                module.forward = _mark
            yield
        finally:
            for module in modules:
                vars(module).pop("forward", None)


def _mark(x: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    marked: Tensor = torch.ops.vtbench.repeat(x)
    return marked


def candidates(module: nn.Module) -> dict[str, Any]:
    """Return the members of lists that share their structure with another member, each with its list and structure."""
    found: dict[str, Any] = {}
    for path, group in module.named_modules():
        if not isinstance(group, (nn.ModuleList, nn.Sequential)):
            continue
        structures = {name: _structure(child) for name, child in group.named_children() if "forward" not in vars(child)}
        kinds = list(structures.values())
        for name, structure in structures.items():
            if kinds.count(structure) > 1:
                found[f"{path}.{name}" if path else name] = path, structure
    return found


def _structure(module: nn.Module) -> Any:
    """Return what a module's work depends on besides its inputs."""
    options = tuple(
        (name, repr(value) if isinstance(value, (*_PLAIN, tuple, list)) else id(value))
        for name, value in vars(module).items()
        if name not in _COMMON
    )
    tensors = (*module.named_parameters(recurse=False), *module.named_buffers(recurse=False))
    shapes = tuple((name, tensor.shape, tensor.dtype) for name, tensor in tensors)
    children = tuple((name, _structure(child)) for name, child in module.named_children())
    return type(module), options, shapes, children


def form(value: Any) -> Any:
    """Return the form of a value: of tensors shape and type, of plain values themselves; others are like nothing."""
    if isinstance(value, Tensor):
        return value.shape, value.dtype
    if isinstance(value, _PLAIN):
        return type(value), value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return type(value), tuple(form(getattr(value, field.name)) for field in dataclasses.fields(value))
    leaves = tree_leaves(value)
    if len(leaves) == 1 and leaves[0] is value:
        return object()
    return type(value), tuple(form(leaf) for leaf in leaves)
