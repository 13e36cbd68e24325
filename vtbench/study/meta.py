"""Models without weights: what a tokenizer or a generator looks like before anything is trained."""

from __future__ import annotations

import json
from functools import lru_cache
from typing import cast

import torch

from vtbench.cost.compiler import without_compiler
from vtbench.models.generators import GENERATORS
from vtbench.models.generators.base import Generator
from vtbench.models.tokenizers import TOKENIZERS
from vtbench.models.tokenizers.base import Geometry, Size, Tokenizer
from vtbench.registry import Registry
from vtbench.schema.run import Component

_REGISTRIES: dict[str, Registry] = {"tokenizer": TOKENIZERS, "generator": GENERATORS}


def build_on_meta(component: Component) -> Tokenizer:
    """Return a tokenizer without data: its parameters take no memory and next to no time. It is not to be changed."""
    return cast(Tokenizer, _built("tokenizer", component.model_dump_json()))


def generator_on_meta(component: Component) -> Generator:
    """Return a generator without data, as `build_on_meta`."""
    return cast(Generator, _built("generator", component.model_dump_json()))


def is_ours(component: Component, kind: str = "tokenizer") -> bool:
    """Return whether a component's class is this package's own, whose code tells what it will do."""
    return str(_REGISTRIES[kind].load(component.name).__module__).partition(".")[0] == "vtbench"


@lru_cache(256)
def codes_shape(component_json: str, size: Size, num_tokens: int | None) -> tuple[int, int]:
    """Return (num_codebooks, tokens) of the codes that a tokenizer makes of an image.

    Args:
        component_json: the tokenizer, as JSON.
        size: height and width in pixels.
        num_tokens: length; None for the tokenizer's own.

    Raises:
        ResolutionError: it cannot handle such images or lengths.
    """
    model = build_on_meta(Component.model_validate_json(component_json))
    model.check(size, num_tokens)
    with torch.no_grad(), without_compiler():
        codes = model.tokenize(torch.empty(1, 3, *size, device="meta"), Geometry(num_tokens=num_tokens))
    return codes.shape[1], codes.shape[2]


@lru_cache(64)
def _built(kind: str, component_json: str) -> Tokenizer | Generator:
    """Build once what both checking and counting a plan ask for."""
    component = Component.model_validate_json(component_json)
    found = _REGISTRIES[kind].load(component.name)
    with torch.device("meta"), without_compiler():
        model: Tokenizer | Generator = found(found.Config.model_validate_json(json.dumps(component.options)))
    return model.eval()
