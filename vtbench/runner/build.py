"""Resolved configs -> live objects."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from vtbench.models.tokenizers import TOKENIZERS
from vtbench.models.tokenizers.base import Geometry, Tokenizer
from vtbench.schema.base import canonical_json
from vtbench.schema.run import Component
from vtbench.train.step import autocast


def build_tokenizer(component: Component) -> Tokenizer:
    """Return the tokenizer that `component` names, initialised from torch's global generator."""
    kind = TOKENIZERS.load(component.name)
    model: Tokenizer = kind(kind.Config.model_validate_json(canonical_json(component.options)))
    return model


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
