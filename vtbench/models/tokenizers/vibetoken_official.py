"""Official VibeToken weights -> `VibeToken`.

The official checkpoints (SonyResearch/VibeToken, commit 28b695b) hold the same numbers under other names: this module
renames, joins the codebooks into one tensor and drops the axes of 1 x 1 convolutions. Nothing is left over and
nothing is made up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from vtbench.errors import WeightsError
from vtbench.models.nn.transformer import TransformerConfig
from vtbench.models.tokenizers.vibetoken import SizeName, VibeTokenConfig

_RENAMES = [
    (r"^latent_tokens$", "encoder.latent_tokens"),
    (r"\.class_embedding$", ".class_token"),
    (r"\.latent_token_positional_embedding$", ".latent_pos"),
    (r"\.positional_embedding\.positional_embedding$", ".positions.added.grid"),
    (r"\.positional_embedding\.class_positional_embedding$", ".class_pos"),
    (r"\.transformer\.(\d+)\.", r".transformer.blocks.\1."),
    (r"\.ln_1\.", ".norm1."),
    (r"\.ln_2\.", ".norm2."),
    (r"\.attn\.in_proj_", ".attention.qkv."),
    (r"\.attn\.out_proj\.", ".attention.proj."),
    (r"\.mlp\.c_fc\.", ".mlp.fc1."),
    (r"\.mlp\.c_proj\.", ".mlp.fc2."),
    (r"^encoder\.conv_out\.", "encoder.proj."),
    (r"^decoder\.conv_out\.", "decoder.conv."),
    (r"^decoder\.decoder_embed\.", "decoder.embed."),
    (r"^decoder\.ffn\.", "decoder.head."),
    (r"^decoder\.down_scale\.", "decoder.blur."),
]
_CODEBOOK = re.compile(r"^quantize\.codebooks\.(\d+)\.embedding\.weight$")
_POINTWISE = ("encoder.proj.weight", "decoder.head.weight")


def convert_state(official: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the state dict of `VibeToken` that holds an official checkpoint's weights.

    Raises:
        WeightsError: the checkpoint has no codebooks, so it is not a VibeToken tokenizer.
    """
    state: dict[str, Tensor] = {}
    codebooks: dict[int, Tensor] = {}
    for key, value in official.items():
        if match := _CODEBOOK.match(key):
            codebooks[int(match[1])] = value
            continue
        name = key
        for pattern, replacement in _RENAMES:
            name = re.sub(pattern, replacement, name)
        if name in _POINTWISE:
            value = value.flatten(1)
        elif name == "decoder.mask_token":
            value = value.flatten(0, 1)
        state[name] = value
    if not codebooks:
        raise WeightsError("no 'quantize.codebooks.*.embedding.weight' here: this is no VibeToken tokenizer")
    state["quantizer.codebooks"] = torch.stack([codebooks[i] for i in sorted(codebooks)])
    return state


def official_config(
    encoder: SizeName | TransformerConfig,
    decoder: SizeName | TransformerConfig,
    *,
    num_latent_tokens: int = 256,
    latent_width: int = 256,
    num_codebooks: int = 8,
    codebook_size: int = 4096,
    kernel_size: int = 32,
) -> VibeTokenConfig:
    """Return the config under which `VibeToken` computes what the official code computes."""
    return VibeTokenConfig(
        encoder=encoder,
        decoder=decoder,
        num_latent_tokens=num_latent_tokens,
        latent_width=latent_width,
        num_codebooks=num_codebooks,
        codebook_size=codebook_size,
        pos_grid_sampling="official",
        patch_embed="pinv",
        kernel_size=kernel_size,
        patch_sizes=(8, 16, 32),
        official=True,
    )
