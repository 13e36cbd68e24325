"""Official weights of LlamaGen's tokenizer -> `LlamaGenVq`.

The official checkpoints (FoundationVision/LlamaGen, commit ce98ec4) hold the same numbers under other names, and
queries, keys and values apart. Left out is the list of the last codes used, by which official training reports usage.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from pickle import UnpicklingError

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from vtbench.errors import WeightsError

_LEFT_OUT = "quantize.codebook_used"
_CODEBOOK = "quantize.embedding.weight"
_RENAMES = [
    (r"\.conv_blocks\.(\d+)\.res\.", r".levels.\1.blocks."),
    (r"\.conv_blocks\.(\d+)\.attn\.", r".levels.\1.attentions."),
    (r"\.conv_blocks\.(\d+)\.(downsample|upsample)\.", r".levels.\1.after."),
    (r"\.nin_shortcut\.", ".shortcut."),
    (r"\.mid\.", ".middle."),
    (r"\.proj_out\.", ".proj."),
    (r"\.norm_out\.", ".norm."),
    (r"^quant_conv\.", "to_codes."),
    (r"^post_quant_conv\.", "from_codes."),
]
_QUERY = re.compile(r"\.q\.(weight|bias)$")


def read_official(path: Path) -> dict[str, Tensor]:
    """Return the official weights of a `.safetensors` file or a training checkpoint, averaged ones if it has any.

    Raises:
        WeightsError: the file is missing, cannot be read as tensors alone, or holds no state dict.
    """
    if not path.is_file():
        raise WeightsError(f"there is no file {path}; give the official checkpoint (vq_ds16_c2i.pt, vq_ds8_c2i.pt)")
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        found = torch.load(path, map_location="cpu", weights_only=True)
    except (SafetensorError, OSError, RuntimeError, ValueError) as error:
        raise WeightsError(f"{path} cannot be read as weights: {error}") from error
    except UnpicklingError as error:
        raise WeightsError(f"{path} holds more than tensors and plain values, and is not read") from error
    for key in ("ema", "model", "state_dict"):
        if isinstance(found, Mapping) and isinstance(found.get(key), Mapping):
            return dict(found[key])
    raise WeightsError(f"{path} has none of the keys 'ema', 'model', 'state_dict': this is no checkpoint of LlamaGen")


def convert_state(official: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the state dict of `LlamaGenVq` that holds an official checkpoint's weights.

    Raises:
        WeightsError: the checkpoint has no codebook, so it is no VQ tokenizer of LlamaGen, or is not complete.
    """
    if _CODEBOOK not in official:
        raise WeightsError(f"no '{_CODEBOOK}' here: this is no VQ tokenizer of LlamaGen")
    state: dict[str, Tensor] = {"quantizer.codebooks": official[_CODEBOOK][None]}
    for key, value in official.items():
        if key in (_LEFT_OUT, _CODEBOOK):
            continue
        name = key
        for pattern, replacement in _RENAMES:
            name = re.sub(pattern, replacement, name)
        state[name] = value
    for query in [name for name in state if _QUERY.search(name)]:
        parts = [_QUERY.sub(rf".{letter}.\1", query) for letter in "qkv"]
        if missing := [part for part in parts if part not in state]:
            raise WeightsError(f"'{query}' comes without '{missing[0]}': the checkpoint is not complete")
        state[_QUERY.sub(r".qkv.\1", query)] = torch.cat([state.pop(part) for part in parts])
    return state
