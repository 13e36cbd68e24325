"""Keeps torch's compiler out of a process that only counts.

Torch's kernels for the meta device are written in Python, and each asks the compiler at its first call never to compile
it. That imports `torch._dynamo`: one and a half seconds and 80 MB for a mark that means nothing where nothing is
compiled.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import ModuleType
from typing import Any

import torch

_NAME = "torch._dynamo"
_MARK = "__dynamo_disable"


@contextmanager
def without_compiler() -> Iterator[None]:
    """Let functions that want to be left alone by the compiler run without it; afterwards torch is as it was before.

    Does nothing if the compiler is imported already. Whatever asks more of the compiler gets the real one.
    """
    if _NAME in sys.modules:
        yield
        return
    stand_in = _StandIn(_NAME)
    sys.modules[_NAME] = stand_in
    try:
        yield
    finally:
        stand_in.leave()


class _StandIn(ModuleType):
    """What `import torch._dynamo` finds meanwhile."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self._marked: list[Any] = []

    def disable(self, fn: Callable[..., Any], recursive: bool = True, *, wrapping: bool = True) -> Callable[..., Any]:
        """Return `fn` as it is; torch keeps that as a mark on `fn`, which `leave` takes off."""
        self._marked.append(fn)
        return fn

    def leave(self) -> None:
        """Make room for the real compiler."""
        for fn in self._marked:
            vars(fn).pop(_MARK, None)
        if sys.modules.get(_NAME) is self:
            del sys.modules[_NAME]
        if vars(torch).get("_dynamo") is self:
            del torch._dynamo

    def __getattr__(self, name: str) -> Any:
        # `__path__` is what the import of a submodule asks for
        if name.startswith("__") and name != "__path__":
            raise AttributeError(name)
        self.leave()
        return getattr(importlib.import_module(_NAME), name)
