"""What of a generator's options follows from the rest of its run: filled in, or refused where the file says otherwise.

The number and size of codebooks, the length and, for grids, the shape come from the tokenizer at the resolutions whose
tokens are learned; the number of classes comes from a data set that knows it without its files.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic import BaseModel

from vtbench.data import DATASETS
from vtbench.errors import VtbenchError
from vtbench.schema.base import parse_resolution
from vtbench.schema.run import Component, TokensConfig
from vtbench.study.meta import build_on_meta, codes_shape
from vtbench.study.problems import dotted
from vtbench.study.yaml_file import KeyPath

Mistake = tuple[KeyPath, str]
"""Path of the value at fault, and what is wrong."""


def with_derived(
    model: Component, kind: type[BaseModel], tokenizer: Component, tokens: TokensConfig, data: Component
) -> tuple[dict[str, Any], list[Mistake]]:
    """Return a generator's options with those that follow from the rest of its run, and what contradicts them.

    Args:
        model: the generator as the study has it.
        kind: the class of its options.
        tokenizer: whose tokens it makes, with all defaults.
        tokens: at which resolutions and lengths.
        data: of which images.
    """
    try:
        derived = _derived(tokenizer, tokens, data)
    except _NotForGeneratorsError as error:
        return model.options, [error.mistake]
    mistakes: list[Mistake] = []
    if derived["num_codebooks"] > 1 and "num_codebooks" not in kind.model_fields:
        why = f"it makes one code a token, and the tokenizer {derived['num_codebooks']}"
        mistakes.append((("generator", "model", "name"), f"'{model.name}': {why}; choose another of the two"))
    options = dict(model.options)
    for name, value in derived.items():
        if name not in kind.model_fields:
            continue
        if name in options and options[name] != value:
            text = f"{options[name]} contradicts the rest of the run, from which {value} follows; leave it out"
            mistakes.append((("generator", "model", name), text))
        options[name] = value
    return options, mistakes


class _NotForGeneratorsError(Exception):
    def __init__(self, mistake: Mistake) -> None:
        super().__init__(dotted(mistake[0]))
        self.mistake = mistake


def _derived(tokenizer: Component, tokens: TokensConfig, data: Component) -> Mapping[str, Any]:
    try:
        sizes = build_on_meta(tokenizer).codebook_sizes
    except VtbenchError as error:
        raise _NotForGeneratorsError((("tokenizer",), str(error))) from error
    if sizes is None or len(set(sizes)) != 1:
        why = "it has no codebooks of one size" if sizes is None else f"its codebooks differ in size: {list(sizes)}"
        raise _NotForGeneratorsError((("tokenizer",), f"{why}, so that a generator cannot learn its codes"))
    num_codebooks, num_tokens = _shape(tokenizer, tokens)
    found: dict[str, Any] = {
        "num_codebooks": num_codebooks,
        "codebook_size": sizes[0],
        "max_num_tokens": num_tokens,
    }
    height, width = parse_resolution(tokens.resolutions[0])
    rows = round((num_tokens * height / width) ** 0.5)
    if rows and rows * width == num_tokens // rows * height and num_tokens % rows == 0:
        found["grid_size"] = [rows, num_tokens // rows]
    names = getattr(DATASETS.load(data.name), "label_names", None)
    return found if names is None else {**found, "num_classes": len(names)}


def _shape(tokenizer: Component, tokens: TokensConfig) -> tuple[int, int]:
    """Return (num_codebooks, tokens) of the sequences that are learned, which must be alike at all resolutions."""
    shapes = {}
    for index, resolution in enumerate(tokens.resolutions):
        place: KeyPath = ("generator", "tokens", "resolutions", index)
        try:
            shape = codes_shape(tokenizer.model_dump_json(), parse_resolution(resolution), tokens.num_tokens)
        except VtbenchError as error:
            raise _NotForGeneratorsError((place, str(error))) from error
        shapes[resolution] = shape
        if shape != shapes[tokens.resolutions[0]]:
            first = tokens.resolutions[0]
            why = f"an image of {resolution} has {shape[1]} tokens and one of {first} {shapes[first][1]}"
            raise _NotForGeneratorsError((place, f"{why}; one generator learns sequences of one length"))
    return shapes[tokens.resolutions[0]]
