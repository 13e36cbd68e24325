import pytest
import torch

from vtbench.cost.calls import (
    Decode,
    Encode,
    Head,
    Predict,
    Prefill,
    Quantize,
    Reconstruct,
    Sequence,
    Step,
    conditions,
)
from vtbench.models.generators.base import GeneratorSize
from vtbench.models.generators.llamagen import LlamaGen, LlamaGenConfig
from vtbench.models.generators.vibetoken_gen import VibeTokenGen, VibeTokenGenConfig
from vtbench.models.nn.transformer import TransformerConfig
from vtbench.models.tokenizers.base import Geometry
from vtbench.models.tokenizers.vibetoken import VibeToken, VibeTokenConfig

SIZE = GeneratorSize(width=16, num_layers=2, num_heads=2)
TINY = TransformerConfig(width=16, num_layers=1, num_heads=2)


@pytest.fixture
def tokenizer():
    config = VibeTokenConfig(
        encoder=TINY, decoder=TINY, num_latent_tokens=4, latent_width=8, num_codebooks=2, codebook_size=6,
        patch_embed="fixed", patch_size=4,
    )  # fmt: skip
    return VibeToken(config).eval()


@pytest.fixture
def llamagen():
    return LlamaGen(LlamaGenConfig(size=SIZE, grid_size=(2, 3), codebook_size=20)).eval()


@pytest.fixture
def vibetoken_gen():
    return VibeTokenGen(VibeTokenGenConfig(size=SIZE, max_num_tokens=6, num_codebooks=3, codebook_size=5)).eval()


def _condition(batch=2):
    return torch.arange(batch), torch.full((batch,), 64.0), torch.full((batch,), 96.0)


def test_the_parts_of_a_tokenizer_make_its_forward_pass(tokenizer):
    images = torch.rand(2, 3, 16, 8)
    latents = Encode(tokenizer, Geometry())(images)
    z_q, indices, loss, *_ = Quantize(tokenizer)(latents)
    torch.testing.assert_close(indices.long(), tokenizer.tokenize(images))
    decoded = Decode(tokenizer, (16, 8), Geometry())(z_q)
    reconstruction, whole_z_q, _, whole_loss, *_ = Reconstruct(tokenizer, Geometry())(images)
    torch.testing.assert_close(reconstruction, decoded)
    torch.testing.assert_close(whole_z_q, z_q)
    torch.testing.assert_close(whole_loss, loss)
    assert Encode(tokenizer, Geometry(num_tokens=3))(images).shape == (2, 3, 8)


def test_a_head_of_one_code_is_applied_at_every_place(llamagen):
    indices = torch.randint(20, (2, 1, 6))
    assert Sequence(llamagen)(indices, *_condition()).shape == (2, 7, 1, 20)
    assert Predict(llamagen)(indices, *_condition()).shape == (2, 6, 1, 20)


def test_a_head_of_several_codes_is_applied_where_a_token_is_predicted(vibetoken_gen):
    indices = torch.randint(5, (2, 3, 6))
    assert Sequence(vibetoken_gen)(indices, *_condition()).shape == (2, 6, 3, 5)
    torch.testing.assert_close(
        Sequence(vibetoken_gen)(indices, *_condition()), Predict(vibetoken_gen)(indices, *_condition())
    )


@pytest.mark.parametrize("name", ["llamagen", "vibetoken_gen"])
def test_places_are_run_one_by_one(name, request):
    model = request.getfixturevalue(name)
    hidden = Prefill(model, 6)(*_condition())
    assert hidden.shape == (2, 1, 16)
    token = Head(model)(hidden)
    assert token.shape == (2, model.num_codebooks, 1)
    assert Step(model, 6, position=5)(token).shape == (2, 1, 16)


def test_conditions_are_on_the_meta_device():
    labels, height, width = conditions(3)
    assert labels.shape == height.shape == width.shape == (3,)
    assert {tensor.device.type for tensor in (labels, height, width)} == {"meta"}
    assert labels.dtype == torch.int64
