import pytest
import torch

from vtbench.models.nn.latent_encoder import LatentEncoder
from vtbench.models.nn.patch_embed import AdaptivePatchEmbed, FixedPatchEmbed
from vtbench.models.nn.positions import PositionsConfig
from vtbench.models.nn.transformer import TransformerConfig

CONFIG = TransformerConfig(width=16, num_layers=2, num_heads=2)


def _encoder(pos_embed="grid", patch_embed=None):
    torch.manual_seed(0)
    return LatentEncoder(
        CONFIG,
        patch_embed or FixedPatchEmbed(16, 4),
        PositionsConfig(kind=pos_embed, grid_size=4),
        num_latent_tokens=6,
        latent_width=8,
        weight_init="fan_in",
    )


@pytest.mark.parametrize("num_tokens", [1, 4, 6])
def test_exactly_as_many_latents_as_asked_for(num_tokens):
    assert _encoder()(torch.rand(2, 3, 8, 12), (4, 4), num_tokens).shape == (2, num_tokens, 8)


def test_only_the_first_latents_take_part():
    encoder = _encoder()
    encoder(torch.rand(1, 3, 8, 8), (4, 4), 2).sum().backward()
    for parameter in (encoder.latent_tokens, encoder.latent_pos):
        assert parameter.grad is not None
        assert [bool(row.any()) for row in parameter.grad] == [True] * 2 + [False] * 4


def test_the_class_token_takes_part():
    encoder = _encoder()
    images = torch.rand(1, 3, 8, 8)
    before = encoder(images, (4, 4), 3)
    with torch.no_grad():
        encoder.class_token.add_(torch.randn(1, 16))
    assert not torch.allclose(encoder(images, (4, 4), 3), before, atol=1e-4)


@pytest.mark.parametrize("pos_embed", ["grid", "rope", "rope_learnable"])
def test_latents_have_no_positions_but_their_own(pos_embed):
    encoder, images = _encoder(pos_embed), torch.rand(1, 3, 8, 8)
    before = encoder(images, (4, 4), 3)
    order = torch.tensor([2, 0, 1])
    with torch.no_grad():
        for parameter in (encoder.latent_tokens, encoder.latent_pos):
            parameter[:3] = parameter[order]
    torch.testing.assert_close(encoder(images, (4, 4), 3), before[:, order], atol=1e-5, rtol=1e-4)


def _swapped(images):
    """Swap the left and the right column of 4 x 4 patches."""
    return torch.cat([images[..., 4:], images[..., :4]], dim=-1)


@pytest.mark.parametrize("pos_embed", ["grid", "learned", "rope", "rope_learnable"])
def test_positions_tell_patches_apart(pos_embed):
    encoder, images = _encoder(pos_embed), torch.rand(1, 3, 8, 8)
    assert not torch.allclose(encoder(images, (4, 4), 3), encoder(_swapped(images), (4, 4), 3), atol=1e-5)


def test_without_positions_patches_are_a_set():
    encoder, images = _encoder("none"), torch.rand(1, 3, 8, 8)
    torch.testing.assert_close(encoder(images, (4, 4), 3), encoder(_swapped(images), (4, 4), 3), atol=1e-5, rtol=1e-5)


def test_one_adaptive_encoder_takes_any_size_and_patch():
    encoder = _encoder(patch_embed=AdaptivePatchEmbed(16, 8))
    for size, patch in [((16, 16), (8, 8)), ((8, 24), (4, 4)), ((12, 8), (4, 8))]:
        assert encoder(torch.rand(1, 3, *size), patch, 5).shape == (1, 5, 8)
