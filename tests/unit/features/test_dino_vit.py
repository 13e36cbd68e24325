"""The ViT against torch's own transformer layers, with the weights copied over."""

import pytest
import torch
from torch import nn

from vtbench.features.dino_vit import DinoVit

WIDTH, PATCH, GRID, DEPTH = 128, 8, 4, 2


def random_state(scaled, width=WIDTH, patch=PATCH, grid=GRID, depth=DEPTH):
    """Return weights of a small ViT under the authors' names."""
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return 0.1 * torch.randn(*shape, generator=generator)

    state = {
        "cls_token": draw(1, 1, width),
        "pos_embed": draw(1, 1 + grid**2, width),
        "patch_embed.proj.weight": draw(width, 3, patch, patch),
        "patch_embed.proj.bias": draw(width),
        "norm.weight": 1 + draw(width),
        "norm.bias": draw(width),
    }
    for index in range(depth):
        block = {
            **{f"norm{i}.{part}": draw(width) + (part == "weight") for i in (1, 2) for part in ("weight", "bias")},
            "attn.qkv.weight": draw(3 * width, width),
            "attn.qkv.bias": draw(3 * width),
            "attn.proj.weight": draw(width, width),
            "attn.proj.bias": draw(width),
            "mlp.fc1.weight": draw(4 * width, width),
            "mlp.fc1.bias": draw(4 * width),
            "mlp.fc2.weight": draw(width, 4 * width),
            "mlp.fc2.bias": draw(width),
        }
        if scaled:
            block |= {"ls1.gamma": 1 + draw(width), "ls2.gamma": 1 + draw(width)}
        state |= {f"blocks.{index}.{key}": value for key, value in block.items()}
    return state | ({"mask_token": draw(1, width)} if scaled else {})


def _expected(state, images, positions):
    """Return the class token before and after the last norm, from torch's own layers."""
    mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    std = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    patches = nn.functional.conv2d(
        (images - mean) / std, state["patch_embed.proj.weight"], state["patch_embed.proj.bias"], stride=PATCH
    )
    tokens = [state["cls_token"].expand(len(images), -1, -1), patches.flatten(2).transpose(1, 2)]
    x = torch.cat(tokens, dim=1) + positions
    for index in range(DEPTH):
        block = {key.split(".", 2)[2]: value for key, value in state.items() if key.startswith(f"blocks.{index}.")}
        first, second = block.get("ls1.gamma", torch.ones(WIDTH)), block.get("ls2.gamma", torch.ones(WIDTH))
        layer = nn.TransformerEncoderLayer(
            WIDTH, WIDTH // 64, 4 * WIDTH, 0.0, "gelu", layer_norm_eps=1e-6, batch_first=True, norm_first=True
        )
        theirs = {
            "self_attn.in_proj_weight": block["attn.qkv.weight"],
            "self_attn.in_proj_bias": block["attn.qkv.bias"],
            # a factor on what is added is a factor on the last layer's rows
            "self_attn.out_proj.weight": first[:, None] * block["attn.proj.weight"],
            "self_attn.out_proj.bias": first * block["attn.proj.bias"],
            "linear1.weight": block["mlp.fc1.weight"],
            "linear1.bias": block["mlp.fc1.bias"],
            "linear2.weight": second[:, None] * block["mlp.fc2.weight"],
            "linear2.bias": second * block["mlp.fc2.bias"],
        }
        norms = {f"norm{i}.{part}": block[f"norm{i}.{part}"] for i in (1, 2) for part in ("weight", "bias")}
        layer.load_state_dict(theirs | norms)
        x = layer(x)
    token = x[:, 0]
    return token, nn.functional.layer_norm(token, (WIDTH,), state["norm.weight"], state["norm.bias"], 1e-6)


@pytest.mark.parametrize("scaled", [False, True])
def test_equals_torchs_transformer(scaled):
    state = random_state(scaled)
    images = torch.rand(2, 3, GRID * PATCH, GRID * PATCH)
    plain, normed = _expected(state, images, state["pos_embed"])
    vit = DinoVit(state)
    torch.testing.assert_close(vit.class_token(images), normed.detach(), rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(vit.class_token(images, normed=False), plain.detach(), rtol=1e-4, atol=1e-5)


def test_positions_of_another_grid_are_resized():
    state = random_state(True)
    images = torch.rand(1, 3, 2 * PATCH, 3 * PATCH)
    lattice = state["pos_embed"][:, 1:].reshape(1, GRID, GRID, WIDTH).permute(0, 3, 1, 2)
    resized = nn.functional.interpolate(lattice, scale_factor=(2.1 / GRID, 3.1 / GRID), mode="bicubic")
    assert resized.shape[-2:] == (2, 3)
    positions = torch.cat([state["pos_embed"][:, :1], resized.flatten(2).transpose(1, 2)], dim=1)
    expected = _expected(state, images, positions)[1].detach()
    torch.testing.assert_close(DinoVit(state).class_token(images), expected, rtol=1e-4, atol=1e-5)


def test_a_missing_weight_is_an_error():
    state = random_state(False)
    del state["blocks.1.mlp.fc1.bias"]
    with pytest.raises(RuntimeError, match=r"blocks\.1\.mlp\.fc1\.bias"):
        DinoVit(state)
