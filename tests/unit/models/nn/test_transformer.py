import math

import pytest
import torch
from torch import nn

from vtbench.models.nn.rope import AxialRope, Rotation
from vtbench.models.nn.transformer import (
    SIZES,
    Attention,
    Block,
    Mlp,
    Transformer,
    TransformerConfig,
    embedding,
    init_linear,
    init_weight,
)

CONFIG = TransformerConfig(width=32, num_layers=2, num_heads=2)


def test_the_named_sizes_have_heads_of_64_channels():
    assert {name: size.head_dim for name, size in SIZES.items()} == dict.fromkeys(SIZES, 64)
    assert [(s.width, s.num_layers, s.num_heads) for s in SIZES.values()] == [
        (256, 4, 4),
        (512, 8, 8),
        (768, 12, 12),
        (1024, 24, 16),
    ]


def _torchs_own(block: Block) -> nn.TransformerEncoderLayer:
    """Return PyTorch's pre-norm layer with the block's weights."""
    layer = nn.TransformerEncoderLayer(
        32, 2, dim_feedforward=128, dropout=0.0, activation="gelu", batch_first=True, norm_first=True
    )
    pairs = [
        (layer.self_attn.in_proj_weight, block.attention.qkv.weight),
        (layer.self_attn.in_proj_bias, block.attention.qkv.bias),
        (layer.self_attn.out_proj.weight, block.attention.proj.weight),
        (layer.self_attn.out_proj.bias, block.attention.proj.bias),
        (layer.linear1.weight, block.mlp.fc1.weight),
        (layer.linear1.bias, block.mlp.fc1.bias),
        (layer.linear2.weight, block.mlp.fc2.weight),
        (layer.linear2.bias, block.mlp.fc2.bias),
        (layer.norm1.weight, block.norm1.weight),
        (layer.norm1.bias, block.norm1.bias),
        (layer.norm2.weight, block.norm2.weight),
        (layer.norm2.bias, block.norm2.bias),
    ]
    with torch.no_grad():
        for theirs, ours in pairs:
            ours.normal_(std=0.2)
            theirs.copy_(ours)
    return layer


def test_a_block_is_pytorchs_pre_norm_layer():
    torch.manual_seed(0)
    block = Block(CONFIG)
    layer = _torchs_own(block)
    x = torch.randn(2, 7, 32)
    torch.testing.assert_close(block(x), layer(x), atol=1e-5, rtol=1e-5)


def test_without_rotations_the_order_of_tokens_makes_no_difference():
    torch.manual_seed(0)
    model = Transformer(CONFIG)
    x, order = torch.randn(1, 6, 32), torch.randperm(6)
    torch.testing.assert_close(model(x[:, order]), model(x)[:, order], atol=1e-5, rtol=1e-5)


def test_each_layer_is_turned_by_its_own_rotation():
    torch.manual_seed(0)
    model = Transformer(CONFIG)
    x = torch.randn(1, 4, 32)
    turned = AxialRope(1, 16, 100.0).rotations((2, 2), 0, 0)[0]
    still = AxialRope(1, 16, 100.0).rotations((1, 1), 0, 3)[0]
    by_hand = model.blocks[1](model.blocks[0](x, turned), still)
    torch.testing.assert_close(model(x, [turned, still]), by_hand)
    assert not torch.allclose(by_hand, model(x, [still, turned]), atol=1e-4)


def test_a_rotation_that_turns_nothing_is_none():
    torch.manual_seed(0)
    attention = Attention(32, 2)
    x = torch.randn(2, 5, 32)
    still = AxialRope(1, 16, 100.0).rotations((1, 1), 2, 2)[0]
    torch.testing.assert_close(attention(x, still), attention(x))


def test_attention_with_rotations_sees_offsets_alone():
    torch.manual_seed(0)
    attention = Attention(32, 2)
    x = torch.randn(1, 6, 32)
    (rotation,) = AxialRope(1, 16, 100.0).rotations((5, 7), 0, 0)

    def part(top, left):
        tables = (table.unflatten(0, (5, 7))[top : top + 2, left : left + 3] for table in (rotation.cos, rotation.sin))
        return Rotation(*(table.flatten(0, 1) for table in tables))

    here = attention(x, part(0, 0))
    torch.testing.assert_close(attention(x, part(3, 4)), here, atol=1e-5, rtol=1e-4)
    assert not torch.allclose(attention(x), here, atol=1e-3)


def test_the_mlp_maps_each_token_by_itself():
    torch.manual_seed(0)
    mlp = Mlp(8, 16)
    x = torch.randn(2, 3, 8)
    torch.testing.assert_close(mlp(x)[1, 2], mlp(x[1, 2]))


@pytest.mark.parametrize(("scheme", "std"), [("trunc_normal", 0.02), ("fan_in", 512**-0.5)])
def test_weights_have_the_schemes_spread_and_biases_are_zero(scheme, std):
    torch.manual_seed(0)
    linear, norm = nn.Linear(512, 256), nn.LayerNorm(8)
    init_linear(linear, scheme)
    init_linear(norm, scheme)
    assert linear.weight.std().item() == pytest.approx(std, rel=0.02)
    assert linear.weight.mean().item() == pytest.approx(0, abs=std / 50)
    assert not linear.bias.any()
    assert (norm.weight == 1).all()


def test_fan_in_of_a_convolution_counts_its_window():
    torch.manual_seed(0)
    weight = torch.empty(64, 3, 16, 16)
    init_weight(weight, "fan_in")
    assert weight.std().item() == pytest.approx(1 / math.sqrt(3 * 16 * 16), rel=0.02)


def test_embeddings_are_drawn_with_the_width_in_mind_unless_told():
    torch.manual_seed(0)
    assert embedding(1000, 64).std().item() == pytest.approx(1 / 8, rel=0.02)
    assert embedding(1000, 64, std=0.5).std().item() == pytest.approx(0.5, rel=0.02)
