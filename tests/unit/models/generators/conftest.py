"""Generators small enough to run in milliseconds, with weights under which every detail shows."""

import pytest
import torch
from torch import nn

from vtbench.models.generators import GENERATORS
from vtbench.models.generators.base import Condition, GeneratorSize

SIZE = GeneratorSize(width=32, num_layers=2, num_heads=2)
COMMON = {"size": SIZE, "num_classes": 5, "ffn_multiple": 8}
OPTIONS = {
    "flextok_ar": {**COMMON, "max_num_tokens": 6, "codebook_size": 20},
    "llamagen": {**COMMON, "grid_size": (2, 3), "codebook_size": 20},
    "vibetoken_gen": {**COMMON, "max_num_tokens": 6, "num_codebooks": 3, "codebook_size": 7, "num_head_layers": 2},
}


@pytest.fixture
def build():
    """Build a tiny generator by its name; options replace those of `OPTIONS`."""

    def build(name, seed=0, **options):
        kind = GENERATORS.load(name)
        torch.manual_seed(seed)
        model = kind(kind.Config(**{**OPTIONS[name], **options}))
        for parameter in model.parameters():
            if parameter.ndim == 2:
                nn.init.normal_(parameter, std=parameter.shape[1] ** -0.5 if parameter.shape[1] > 1 else 1.0)
        for module in model.modules():
            if isinstance(module, nn.Embedding):
                nn.init.normal_(module.weight)
        return model.eval()

    return build


@pytest.fixture
def condition():
    """Return a condition for a number of images, all different."""

    def condition(batch, device="cpu"):
        number = torch.arange(batch, device=device)
        return Condition(labels=number % 5, height=256.0 + 64 * number, width=512.0 - 32 * number)

    return condition
