"""Official VibeToken-Gen weights -> `VibeTokenGen`.

The official checkpoints (SonyResearch/VibeToken, commit 28b695b) hold the same numbers under other names, codebook by
codebook, and the two halves of the SwiGLU's first product apart. Nothing is left over and nothing is made up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping

import torch
from torch import Tensor

from vtbench.errors import WeightsError
from vtbench.models.generators.base import GeneratorSize
from vtbench.models.generators.guidance import Scale, cosine
from vtbench.models.generators.llamagen_official import rename
from vtbench.models.generators.vibetoken_gen import SizeName, VibeTokenGenConfig
from vtbench.models.nn.causal import HeadNorm

_RENAMES = [
    (r"^cls_embedding\.embedding_table\.", "class_embed."),
    (r"^target_h_embedder\.", "height_embed."),
    (r"^target_w_embedder\.", "width_embed."),
    (r"^layers\.", "trunk.layers."),
    (r"^norm\.", "trunk.norm."),
    (r"^output\.layers\.", "head.transformer.layers."),
    (r"^output\.norm\.", "head.transformer.norm."),
    (r"^output\.linear_head\.", "head.linear."),
]
_CODEBOOK = re.compile(r"^(tok_embeddings|output)\.codebooks\.(\d+)\.weight$")
_TABLES = {"tok_embeddings": "token_embed.weight", "output": "code_embed.weight"}


def convert_state(official: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the state dict of `VibeTokenGen` that holds an official checkpoint's weights.

    Raises:
        WeightsError: the checkpoint lacks the embeddings of several codebooks, so it is no VibeToken-Gen.
    """
    tables: dict[str, dict[int, Tensor]] = {name: {} for name in _TABLES}
    rest: dict[str, Tensor] = {}
    for key, value in official.items():
        if match := _CODEBOOK.match(key):
            tables[match[1]][int(match[2])] = value
        else:
            rest[key] = value
    for name, codebooks in tables.items():
        if not codebooks:
            raise WeightsError(f"no '{name}.codebooks.*.weight' here: this is no VibeToken-Gen")
    state = rename(rest, _RENAMES)
    for name, codebooks in tables.items():
        state[_TABLES[name]] = torch.cat([codebooks[i] for i in sorted(codebooks)])
    return state


def official_config(
    size: SizeName | GeneratorSize,
    *,
    num_head_layers: int = 4,
    max_num_tokens: int = 65,
    num_classes: int = 1000,
    num_codebooks: int = 8,
    codebook_size: int = 4096,
    head_norm: HeadNorm = "qkv",
    score_cap: float | None = None,
    ffn_multiple: int = 256,
) -> VibeTokenGenConfig:
    """Return the config under which `VibeTokenGen` computes what the official code computes."""
    return VibeTokenGenConfig(
        size=size,
        num_head_layers=num_head_layers,
        max_num_tokens=max_num_tokens,
        num_classes=num_classes,
        num_codebooks=num_codebooks,
        codebook_size=codebook_size,
        head_norm=head_norm,
        score_cap=score_cap,
        ffn_multiple=ffn_multiple,
    )


def official_guidance(guidance_scale: float = 16.0, guidance_scale_pow: float = 2.5) -> Scale:
    """Return the guidance of the official sampler, which counts to 256 tokens whatever it makes; 0 turns it off."""
    return 1.0 if guidance_scale == 0 else cosine(guidance_scale, guidance_scale_pow, num_tokens=256)
