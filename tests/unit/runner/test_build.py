import pytest
import torch

from vtbench.errors import RegistryError
from vtbench.models.tokenizers.base import Geometry
from vtbench.models.tokenizers.vibetoken import VibeToken
from vtbench.runner.build import build_tokenizer, reconstructor
from vtbench.schema.run import Component
from vtbench.seeding import seed_everything

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
