import pytest
import torch

from vtbench.models.generators.base import Condition
from vtbench.models.generators.flextok_ar import SIZES, FlexTokAR, FlexTokARConfig, depth_size

MILLIONS = {"49m": 49, "85m": 85, "201m": 201, "393m": 393, "679m": 679, "1.33b": 1330}
"""Of the paper's Table 6, without embeddings."""


@pytest.mark.parametrize("size", SIZES)
def test_trunks_have_the_papers_number_of_parameters(size):
    with torch.device("meta"):
        model = FlexTokAR(FlexTokARConfig(size=size))
    millions = sum(parameter.numel() for parameter in model.trunk.parameters()) / 1e6
    assert millions == pytest.approx(MILLIONS[size], abs=5 if size == "1.33b" else 0.6)
    assert (model.max_num_tokens, model.codebook_size) == (256, 64000)
    assert not any(name.endswith("bias") for name, _ in model.named_parameters())


def test_width_and_heads_follow_the_depth():
    size = depth_size(18)
    assert (size.width, size.num_layers, size.num_heads) == (1152, 18, 18)


def test_positions_are_learned_for_the_image_tokens(build):
    model = build("flextok_ar")
    assert model.token_pos.shape == (6, 32)
    codes = torch.full((1, 1, 6), 3)
    embedded = model.embed_tokens(codes, 1)
    torch.testing.assert_close(embedded[0] - model.token_embed.weight[3], model.token_pos, atol=1e-6, rtol=0)
    for place in (4, torch.tensor(4)):
        torch.testing.assert_close(model.embed_tokens(codes[:, :, :1], place)[0, 0], embedded[0, 3])


def test_the_class_is_added_to_the_first_token(build):
    model = build("flextok_ar")
    first, second = model.embed_condition(Condition(labels=torch.tensor([1, 4])))[:, 0]
    torch.testing.assert_close(first - second, model.class_embed.weight[1] - model.class_embed.weight[4])
    torch.testing.assert_close(first, model.first_token + model.class_embed.weight[1])
