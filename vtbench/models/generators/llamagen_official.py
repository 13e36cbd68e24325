"""Official LlamaGen weights -> `LlamaGen`.

The official checkpoints (FoundationVision/LlamaGen, commit ce98ec4) hold the same numbers under other names, and the
two halves of the SwiGLU's first product apart. Nothing is left over and nothing is made up.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

import torch
from torch import Tensor

from vtbench.errors import WeightsError
from vtbench.models.generators.base import GeneratorSize
from vtbench.models.generators.guidance import Scale, interval
from vtbench.models.generators.llamagen import LlamaGenConfig, SizeName

_BLOCK_RENAMES = [
    (r"layers\.(\d+)\.", r"blocks.\1."),
    (r"\.attention\.wqkv\.", ".attention.qkv."),
    (r"\.attention\.wo\.", ".attention.proj."),
    (r"\.attention_norm\.", ".norm1."),
    (r"\.ffn_norm\.", ".norm2."),
    (r"\.feed_forward\.w1\.", ".ffn.gate."),
    (r"\.feed_forward\.w3\.", ".ffn.up."),
    (r"\.feed_forward\.w2\.", ".ffn.down."),
]
_RENAMES = [
    (r"^cls_embedding\.embedding_table\.", "class_embed."),
    (r"^tok_embeddings\.", "token_embed."),
    (r"^layers\.", "trunk.layers."),
    (r"^norm\.", "trunk.norm."),
    (r"^output\.", "head."),
]
Renames = Sequence[tuple[str, str]]


def rename(official: Mapping[str, Tensor], renames: Renames) -> dict[str, Tensor]:
    """Return the weights under the names that `renames` and our blocks give them, gate and up joined."""
    state: dict[str, Tensor] = {}
    for key, value in official.items():
        name = key
        for pattern, replacement in [*renames, *_BLOCK_RENAMES]:
            name = re.sub(pattern, replacement, name)
        state[name] = value
    for gate in [name for name in state if name.endswith(".ffn.gate.weight")]:
        up = gate.replace(".gate.", ".up.")
        if up not in state:
            raise WeightsError(f"'{gate}' comes without '{up}': the checkpoint is not complete")
        state[gate.replace(".gate.", ".gate_up.")] = torch.cat([state.pop(gate), state.pop(up)])
    return state


def convert_state(official: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the state dict of `LlamaGen` that holds an official checkpoint's weights.

    Raises:
        WeightsError: the checkpoint has no token embedding of one codebook, so it is no LlamaGen GPT.
    """
    if "tok_embeddings.weight" not in official:
        raise WeightsError("no 'tok_embeddings.weight' here: this is no LlamaGen GPT")
    return rename(official, _RENAMES)


def official_config(
    size: SizeName | GeneratorSize,
    *,
    grid_size: tuple[int, int] = (16, 16),
    num_classes: int = 1000,
    codebook_size: int = 16384,
    ffn_multiple: int = 256,
) -> LlamaGenConfig:
    """Return the config under which `LlamaGen` computes what the official code computes."""
    return LlamaGenConfig(
        size=size,
        grid_size=grid_size,
        num_classes=num_classes,
        codebook_size=codebook_size,
        ffn_multiple=ffn_multiple,
    )


def official_guidance(cfg_scale: float, cfg_interval: int = -1) -> Scale:
    """Return the guidance of the official sampler: all tokens, or with an interval the first `cfg_interval + 2`.

    The official interval counts steps after the prefill, which makes token 0 and is always guided.
    """
    if cfg_scale <= 1:
        return 1.0
    return cfg_scale if cfg_interval < 0 else interval(cfg_scale, 0, cfg_interval + 1)
