import pytest
import torch
from torch import nn

from vtbench.models.decoders.mask_token import MaskTokenDecoder
from vtbench.models.nn.positions import PositionsConfig
from vtbench.models.nn.resizable_blur import ResizableBlur
from vtbench.models.nn.transformer import TransformerConfig

CONFIG = TransformerConfig(width=16, num_layers=1, num_heads=2)


def _decoder(pixels=4, blur=False, pos_embed="learned", weight_init="fan_in"):
    torch.manual_seed(0)
    return MaskTokenDecoder(
        CONFIG,
        PositionsConfig(kind=pos_embed, grid_size=4),
        num_latent_tokens=6,
        latent_width=8,
        pixels=pixels,
        blur=ResizableBlur() if blur else None,
        weight_init=weight_init,
    )


@torch.no_grad()
def test_each_token_becomes_its_own_patch_row_by_row():
    decoder = _decoder()
    block = decoder.transformer.blocks[0]
    for layer in (block.attention.proj, block.mlp.fc2):
        nn.init.zeros_(layer.weight)  # the block then changes nothing, and tokens stay where they are
    image = decoder(torch.randn(1, 3, 8), (2, 3), (8, 12))[0]
    table = decoder.positions.added.grid.reshape(4, 4, 16)
    for row, column in [(0, 0), (0, 2), (1, 0), (1, 1)]:
        token = decoder.ln_post(decoder.ln_pre(decoder.mask_token[0] + table[row, column]))
        patch = decoder.head(token).reshape(4, 4, 3)  # row, column, colour
        ours = image[:, 4 * row : 4 * row + 4, 4 * column : 4 * column + 4]
        torch.testing.assert_close(ours, patch.permute(2, 0, 1), atol=1e-5, rtol=1e-5)


@pytest.mark.parametrize("num_tokens", [1, 3, 6])
def test_any_number_of_latents_is_read(num_tokens):
    decoder = _decoder()
    z_q = torch.randn(2, num_tokens, 8, requires_grad=True)
    images = decoder(z_q, (2, 2), (8, 8))
    assert images.shape == (2, 3, 8, 8)
    images.square().sum().backward()
    assert z_q.grad.abs().sum(-1).all()


def test_the_order_of_latents_matters():
    decoder, z_q = _decoder(), torch.randn(1, 3, 8)
    swapped = decoder(z_q.flip(1), (2, 2), (8, 8))
    assert not torch.allclose(swapped, decoder(z_q, (2, 2), (8, 8)), atol=1e-4)


@pytest.mark.parametrize("pos_embed", ["grid", "rope", "rope_learnable"])
def test_latents_have_no_positions_but_their_own(pos_embed):
    decoder, z_q = _decoder(pos_embed=pos_embed), torch.randn(1, 3, 8)
    before = decoder(z_q, (2, 2), (8, 8))
    order = torch.tensor([2, 0, 1])
    with torch.no_grad():
        decoder.latent_pos[:3] = decoder.latent_pos[order]
    torch.testing.assert_close(decoder(z_q[:, order], (2, 2), (8, 8)), before, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(
    ("lattice", "size"), [((2, 3), (16, 24)), ((2, 3), (8, 12)), ((3, 2), (11, 7)), ((1, 1), (32, 32))]
)
def test_with_a_blur_any_size_comes_from_any_lattice(lattice, size):
    assert _decoder(pixels=8, blur=True)(torch.randn(1, 2, 8), lattice, size).shape == (1, 3, *size)


def test_four_times_the_size_from_one_lattice_is_the_same_picture_in_more_detail():
    decoder = _decoder(pixels=32, blur=True)
    z_q = torch.randn(1, 4, 8)
    small, large = (decoder(z_q, (2, 2), (side, side)) for side in (16, 64))
    torch.testing.assert_close(large[..., ::4, ::4][..., 1:-1, 1:-1], small[..., 1:-1, 1:-1])


def test_the_last_convolution_begins_as_the_identity_only_with_fan_in():
    images = torch.rand(1, 3, 6, 6)
    torch.testing.assert_close(_decoder().conv(images), images)
    assert not torch.allclose(_decoder(weight_init="trunc_normal").conv(images), images, atol=1e-2)
