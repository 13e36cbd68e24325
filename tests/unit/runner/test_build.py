import pytest
import torch

from vtbench.errors import RegistryError, StudyError
from vtbench.models.tokenizers.base import Geometry
from vtbench.models.tokenizers.vibetoken import VibeToken
from vtbench.runner.build import build_card, build_tokenizer, reconstructor
from vtbench.schema.cost import Workload
from vtbench.schema.run import Component
from vtbench.seeding import seed_everything
from vtbench.study.cards import load_cards

IMAGES = torch.rand(2, 3, 16, 16, generator=torch.Generator().manual_seed(0))


@pytest.fixture
def component(make_plan, first_run):
    plan = make_plan()
    return plan.runs[first_run(plan)].config.tokenizer


@pytest.fixture
def model(component):
    seed_everything(0)
    return build_tokenizer(component).eval()


def test_a_tokenizer_is_what_its_options_and_the_generator_say(component, model):
    assert isinstance(model, VibeToken)
    assert model.config.num_latent_tokens == 4
    seed_everything(0)
    again = build_tokenizer(component).state_dict()
    other = build_tokenizer(component).state_dict()
    assert all(torch.equal(value, again[name]) for name, value in model.state_dict().items())
    assert not torch.equal(again["encoder.proj.weight"], other["encoder.proj.weight"])


def test_an_unknown_tokenizer_is_named():
    with pytest.raises(RegistryError, match="Did you mean 'vibetoken'"):
        build_tokenizer(Component(name="vibetokn"))


def test_reconstructions_come_from_the_codes_alone(model, monkeypatch):
    reconstruct = reconstructor(model, "fp32")
    found = reconstruct(IMAGES, None)
    assert not found.requires_grad
    codes = model.tokenize(IMAGES)
    torch.testing.assert_close(found, model.detokenize(codes, (16, 16)))
    # whatever else the quantiser knows of the images, the decoder does not
    monkeypatch.setattr(model, "tokenize", lambda images, geometry: codes.flip(0))
    torch.testing.assert_close(reconstruct(IMAGES, None), found.flip(0))


def test_the_length_and_the_precision_are_what_was_asked_for(model):
    reconstruct = reconstructor(model, "fp32")
    short = reconstruct(IMAGES, 2)
    torch.testing.assert_close(
        short, model.detokenize(model.tokenize(IMAGES, Geometry(num_tokens=2)), (16, 16), Geometry(num_tokens=2))
    )
    assert not torch.allclose(short, reconstruct(IMAGES, 4))
    seen = []
    model.decoder.embed.register_forward_hook(lambda module, inputs, output: seen.append(output.dtype))
    half = reconstructor(model, "bf16")(IMAGES, None)
    assert seen == [torch.bfloat16]
    assert half.isfinite().all()


CARDS = load_cards()

PARAMETERS = {
    "vibetoken-ss": 56_347_557,
    "vibetoken-sl": 335_801_253,
    "vibetoken-ll": 615_385_509,
    "llamagen-b": 110_888_448,
    "llamagen-3b": 3_096_659_200,
    # keys and queries are normalised, values not: 64 numbers less in each of its 12 + 4 blocks than the released model
    "vibetoken-gen-b": 164_382_976 - 64 * 16,
}


@pytest.mark.parametrize("name", CARDS)
def test_every_card_is_built_without_memory(name):
    model = build_card(CARDS[name])
    assert {parameter.device.type for parameter in model.parameters()} == {"meta"}
    if name in PARAMETERS:
        assert sum(parameter.numel() for parameter in model.parameters()) == PARAMETERS[name]


def test_the_released_generator_is_an_option_away():
    model = build_card(CARDS["vibetoken-gen-b"], {"head_norm": "qkv"})
    assert sum(parameter.numel() for parameter in model.parameters()) == 164_382_976


def test_the_workload_decides_the_grid_of_tokens():
    card = CARDS["llamagen-b"]
    assert build_card(card).config.grid_size == (16, 16)
    wide = Workload(resolution="256x512", num_tokens=512)
    assert build_card(card, None, wide).config.grid_size == (16, 32)
    assert build_card(card, {"grid_size": [4, 4]}, wide).config.grid_size == (4, 4)
    with pytest.raises(StudyError, match="300 tokens form no grid in the shape of 256x256"):
        build_card(card, None, Workload(resolution="256x256", num_tokens=300))


@pytest.mark.parametrize(
    ("overrides", "said"),
    [
        ({"pos_embd": "grid"}, "'vibetoken' has no option 'pos_embd'. Did you mean 'pos_embed'?"),
        ({"pos_embed": "gird"}, "'vibetoken': pos_embed cannot be 'gird'. Did you mean 'grid'?"),
        ({"encoder": "smal"}, "'vibetoken': encoder cannot be 'smal'. Did you mean 'small'?"),
        ({"patch_size": "x"}, "'vibetoken': patch_size cannot be 'x': Input should be a valid integer."),
        ({"kernel_size": 3}, "'vibetoken': kernel_size 3 is too small for blur_kernel_size 9: it must be at least 7."),
    ],
)
def test_wrong_options_are_named(overrides, said):
    with pytest.raises(StudyError) as caught:
        build_card(CARDS["vibetoken-ss"], overrides)
    assert str(caught.value) == said


def test_two_wrong_options_are_two_lines():
    with pytest.raises(StudyError) as caught:
        build_card(CARDS["vibetoken-ss"], {"pos_embd": 1, "encoder": 2})
    assert len(str(caught.value).splitlines()) == 2
