"""Resolved configs -> live objects."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from typing import Any

import torch
from pydantic import ValidationError
from torch import Tensor

from vtbench.cost.compiler import without_compiler
from vtbench.errors import StudyError, suggest
from vtbench.models.generators import GENERATORS
from vtbench.models.generators.base import Generator
from vtbench.models.tokenizers import TOKENIZERS
from vtbench.models.tokenizers.base import Geometry, Tokenizer
from vtbench.schema.base import Frozen, canonical_json
from vtbench.schema.baseline import ModelCard
from vtbench.schema.cost import Workload
from vtbench.schema.run import Component
from vtbench.train.step import autocast


def build_tokenizer(component: Component) -> Tokenizer:
    """Return the tokenizer that `component` names, initialised from torch's global generator."""
    kind = TOKENIZERS.load(component.name)
    model: Tokenizer = kind(kind.Config.model_validate_json(canonical_json(component.options)))
    return model


def build_generator(component: Component) -> Generator:
    """Return the generator that `component` names, initialised from torch's global generator."""
    kind = GENERATORS.load(component.name)
    model: Generator = kind(kind.Config.model_validate_json(canonical_json(component.options)))
    return model


def build_card(
    card: ModelCard,
    overrides: Mapping[str, Any] | None = None,
    workload: Workload | None = None,
    device: str | torch.device = "meta",
) -> Tokenizer | Generator:
    """Return a card's model.

    Args:
        card: the model; its component gives the defaults that the card leaves out.
        overrides: options of the component that replace the card's.
        workload: what the model is to do; decides the grid of a generator whose tokens stand for squares of pixels.
            None: the card's own.
        device: where the weights are made, at random; the meta device makes none.

    Raises:
        StudyError: an option is unknown or has a wrong value; a line for each, with the nearest valid choice.
    """
    component = Component.model_validate({**_grid(card, workload), **card.config, **(overrides or {})})
    kind = (TOKENIZERS if card.kind == "tokenizer" else GENERATORS).load(component.name)
    try:
        config = kind.Config.model_validate_json(canonical_json(component.options))
    except ValidationError as error:
        raise StudyError("\n".join(_mistakes(error, kind.Config, component.name))) from error
    with torch.device(device), without_compiler() if str(device) == "meta" else nullcontext():
        model: Tokenizer | Generator = kind(config)
    return model


def _grid(card: ModelCard, workload: Workload | None) -> dict[str, Any]:
    """Return the option that gives a generator the grid of its tokens."""
    if card.grid is None:
        return {}
    resolution = card.resolution if workload is None else workload.resolution
    number = None if workload is None else workload.num_tokens
    shape = card.grid.shape(resolution, number or card.grid.count(resolution))
    if shape is None:
        raise StudyError(f"{number} tokens form no grid in the shape of {resolution}.")
    return {card.grid.option: list(shape)}


def _mistakes(error: ValidationError, config: type[Frozen], component: str) -> list[str]:
    """Return a line for each option of a component that is wrong."""
    lines: dict[str, str] = {}
    for detail in error.errors():
        option = str(detail["loc"][0]) if detail["loc"] else ""
        match detail["type"]:
            case "extra_forbidden" if option not in config.model_fields:
                text = f"'{component}' has no option '{option}'.{suggest(option, config.model_fields)}"
            case "literal_error":
                choices = re.findall(r"'([^']*)'", detail["ctx"]["expected"])
                text = f"'{component}': {option} cannot be '{detail['input']}'.{suggest(str(detail['input']), choices)}"
            case "value_error":
                text = f"'{component}': {detail['ctx']['error']}."
            case _:
                text = f"'{component}': {option} cannot be {detail['input']!r}: {detail['msg']}."
        lines.setdefault(option, text)  # where a name or a mapping may stand, the first says which names
    return [*lines.values()]


def reconstructor(model: Tokenizer, precision: str) -> Callable[[Tensor, int | None], Tensor]:
    """Return the callable that metrics see: (images in [0, 1], length or None) -> images through codes and back.

    The reconstruction is made from the codes, not from the quantised latents, so that what is measured is what the
    codes alone can give back.
    """
    device = next(model.parameters()).device

    @torch.no_grad()
    def reconstruct(images: Tensor, num_tokens: int | None) -> Tensor:
        geometry = Geometry(num_tokens=num_tokens)
        with autocast(device, precision):
            codes = model.tokenize(images.to(device), geometry)
            return model.detokenize(codes, (images.shape[-2], images.shape[-1]), geometry)

    return reconstruct
