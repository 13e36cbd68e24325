import pytest
import torch
from pydantic import ValidationError

from vtbench.errors import ResolutionError
from vtbench.models.generators.base import Condition, GeneratorSize
from vtbench.models.generators.vibetoken_gen import SIZES, VibeTokenGen, VibeTokenGenConfig

PARAMETERS = {"b": 164_382_976, "l": 427_868_416, "xl": 897_935_616, "xxl": 1_574_584_576}
"""Of the official models, which normalise values as well."""


def _number(module):
    return sum(parameter.numel() for parameter in module.parameters())


@pytest.mark.parametrize("size", SIZES)
def test_the_named_sizes_have_the_official_number_of_parameters(size):
    with torch.device("meta"):
        model = VibeTokenGen(VibeTokenGenConfig(size=size, head_norm="qkv"))
    assert _number(model) == PARAMETERS[size]


def test_body_head_and_embeddings_are_told_apart():
    with torch.device("meta"):
        model = VibeTokenGen(VibeTokenGenConfig())
    assert round(_number(model.trunk) / 1e6, 1) == 85.0
    assert round(_number(model.head) / 1e6, 1) == 31.5
    assert _number(model.token_embed) + _number(model.code_embed) == 15 * 4096 * 768
    assert _number(model) == PARAMETERS["b"] - 64 * (12 + 4)


def test_a_tokens_embedding_is_the_sum_of_its_codes(build):
    model = build("vibetoken_gen")
    codes = torch.tensor([[[1, 6], [0, 2], [6, 3]]])
    tables = model.token_embed.weight.split(7)
    by_hand = torch.stack([sum(table[code] for table, code in zip(tables, token, strict=True)) for token in codes[0].T])
    torch.testing.assert_close(model.embed_tokens(codes, 1)[0], by_hand)


def test_the_condition_is_class_and_size(build):
    model = build("vibetoken_gen")
    model.height_embed.bias.data.normal_()

    def embedded(label, height, width):
        return model.embed_condition(
            Condition(labels=torch.tensor([label]), height=torch.tensor([height]), width=torch.tensor([width]))
        )[0, 0]

    by_hand = model.class_embed.weight[2] + model.height_embed.weight[:, 0] / 3 + model.height_embed.bias
    torch.testing.assert_close(embedded(2, 512.0, 0.0), by_hand + model.width_embed.bias, atol=1e-6, rtol=1e-5)
    difference = embedded(2, 512.0, 768.0) - embedded(2, 512.0, 0.0)
    torch.testing.assert_close(difference, model.width_embed.weight[:, 0] / 2, atol=1e-6, rtol=1e-5)


def test_a_code_is_predicted_from_those_before_it_in_its_token(build, condition):
    model = build("vibetoken_gen")
    codes = torch.randint(7, (1, 3, 4))
    changed = codes.clone()
    changed[:, 1, 3] = (changed[:, 1, 3] + 1) % 7
    difference = (model(codes, condition(1)) - model(changed, condition(1))).abs().amax(dim=(0, 3))
    assert not difference[:3].any()
    assert not difference[3, :2].any()
    assert difference[3, 2] > 1e-3


def test_what_the_head_needs_is_asked_for(build, condition):
    model = build("vibetoken_gen")
    with pytest.raises(ValueError, match="give indices"):
        model.logits(model.hidden(None, condition(1)))
    with pytest.raises(ResolutionError, match="height and width"):
        model.hidden(None, Condition(labels=torch.tensor([1])))


def test_one_codebook_is_enough(build, condition):
    model = build("vibetoken_gen", num_codebooks=1)
    codes = model.generate(condition(2), greedy=True)
    assert codes.shape == (2, 1, 6)
    assert torch.equal(model(codes, condition(2)).argmax(-1).transpose(1, 2), codes)


@pytest.mark.parametrize("options", [{"score_cap": 5.0}, {"head_norm": "none"}, {"head_norm": "qkv"}])
def test_the_codes_options_sample_what_they_say(build, condition, options):
    model = build("vibetoken_gen", **options)
    codes = model.generate(condition(2), greedy=True)
    assert torch.equal(model(codes, condition(2)).argmax(-1).transpose(1, 2), codes)
    assert not torch.allclose(model(codes, condition(2)), build("vibetoken_gen")(codes, condition(2)), atol=1e-3)


def test_heads_must_hold_pairs():
    with pytest.raises(ValidationError, match=r"multiple of 2 x num_heads = 6"):
        VibeTokenGenConfig(size=GeneratorSize(width=15, num_layers=1, num_heads=3))
