import pytest
import torch
from pydantic import ValidationError

from vtbench.models.generators.base import GeneratorSize
from vtbench.models.generators.llamagen import SIZES, LlamaGen, LlamaGenConfig

PARAMETERS = {"b": 110_888_448, "l": 342_910_976, "xl": 774_699_520, "xxl": 1_410_972_672, "3b": 3_096_659_200}
"""Of the official models."""


@pytest.mark.parametrize("size", SIZES)
def test_the_named_sizes_have_the_official_number_of_parameters(size):
    with torch.device("meta"):
        model = LlamaGen(LlamaGenConfig(size=size))
    assert sum(parameter.numel() for parameter in model.parameters()) == PARAMETERS[size]
    assert model.max_num_tokens == 256


def test_the_position_on_the_grid_is_row_and_column(build, condition):
    model = build("llamagen", grid_size=(2, 3))
    assert model.max_num_tokens == 6
    assert model.trunk.rope.cos.shape == (7, 8)
    wide, tall = build("llamagen", grid_size=(2, 3)), build("llamagen", grid_size=(3, 2))
    codes = torch.randint(20, (1, 1, 6))
    difference = (wide(codes, condition(1)) - tall(codes, condition(1))).abs().amax(dim=(0, 2, 3))
    # Tokens 0 and 1 are neighbours on both grids; token 2 is the first to stand elsewhere, and predicts token 3.
    assert not difference[:3].any()
    assert (difference[3:] > 1e-4).all()


def test_the_size_in_pixels_is_the_grids_affair(build, condition):
    model = build("llamagen")
    first, second = condition(2), condition(2)
    assert torch.equal(model.embed_condition(first), model.embed_condition(type(second)(labels=second.labels)))


def test_heads_must_hold_pairs_for_two_axes():
    with pytest.raises(ValidationError, match=r"multiple of 4 x num_heads = 12"):
        LlamaGenConfig(size=GeneratorSize(width=30, num_layers=1, num_heads=3))
