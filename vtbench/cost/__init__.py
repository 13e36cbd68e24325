"""What a model costs: arithmetic, parameters, memory, speed.

What needs torch is imported when it is asked for, so that names of devices can be checked without.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from vtbench.cost.model_cost import count_model
    from vtbench.cost.tokenizer import count_tokenizer, measure_tokenizer

__all__ = ["count_model", "count_tokenizer", "measure_tokenizer"]

_HOMES = {"count_model": "model_cost", "count_tokenizer": "tokenizer", "measure_tokenizer": "tokenizer"}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
