"""DreamSim (Fu et al. 2023, arXiv:2306.09344): a distance tuned to people's judgement of mid-level similarity.

The single-branch model: DINO's ViT-B/16 (`vtbench.features.dino_vit`) with low-rank updates of its query-key-value
layers; the class token after the last block, before the last norm; centred over its channels; one minus the cosine. The
authors' default is an ensemble of three networks, whose values are others: the two are never compared.

Files, in the weights folder: the backbone, and the folder `dino_vitb16_single_lora` out of the authors' archive.
Deviation: images are resized to 224 x 224 (bicubic, antialiased) in float32, not rounded to uint8 as Pillow does.
"""

from __future__ import annotations

import functools
import json
import re
from pathlib import Path

import safetensors.torch
import torch
from jaxtyping import Float, Float64, UInt8
from torch import Tensor
from torch.nn import functional as F

from vtbench.errors import WeightsError
from vtbench.evaluate.metric import Value
from vtbench.evaluate.metrics.per_image import PerImageMetric
from vtbench.features import weights
from vtbench.features.dino_vit import DinoVit

_BACKBONE = "dino_vitbase16_pretrain.pth"
_BACKBONE_URL = f"https://dl.fbaipublicfiles.com/dino/dino_vitbase16_pretrain/{_BACKBONE}"
_ADAPTER = "dino_vitb16_single_lora"
_ADAPTER_URL = (
    "https://github.com/ssundaram21/dreamsim/releases/download/v0.2.0-checkpoints/dreamsim_dino_vitb16_checkpoint.zip"
    " (unpack it)"
)
_ADAPTER_FILES = ("adapter_model.safetensors", "adapter_model.bin")
_UPDATE = re.compile(r"blocks\.(\d+)\.attn\.qkv\.lora_([AB])\.(?:\w+\.)?weight$")
_SIZE = 224
_IMAGES = 16


class DreamSim(PerImageMetric):
    """Mean DreamSim distance, single branch over DINO's ViT-B/16."""

    name = "dreamsim"
    title = "DreamSim (DINO ViT-B/16)"
    higher_is_better = False
    source = "Fu et al. 2023; the authors' single-branch dino_vitb16 with LoRA, 224x224 bicubic"
    value_range = (0.0, 2.0)
    equation = r"1 - \cos(c(f(x)), c(f(\hat x)))"

    @classmethod
    def check(cls) -> None:
        """Raise a `WeightsError` if a weights file is missing."""
        weights_paths()

    @classmethod
    def protocol(cls) -> dict[str, Value]:
        """Return the backbone and the hashes of all files."""
        backbone, adapter, config = weights_paths()
        return {
            "backbone": "dino_vitb16",
            "weights_sha256": weights.sha256(backbone),
            "adapter_sha256": weights.sha256(adapter),
            "adapter_config_sha256": weights.sha256(config),
            "preprocessing": f"bicubic to {_SIZE}x{_SIZE} with antialiasing, not rounded",
            "feature_batch": _IMAGES,
        }

    @functools.cached_property
    def _network(self) -> DinoVit:
        return load_network()

    @torch.no_grad()
    def measure(
        self, reference: UInt8[Tensor, "batch 3 height width"], produced: UInt8[Tensor, "batch 3 height width"]
    ) -> Float64[Tensor, " batch"]:
        """Return the distance of each pair, in [0, 2]."""
        network = self._network.to(reference.device)
        distances = []
        for pair in zip(reference.split(_IMAGES), produced.split(_IMAGES), strict=True):
            first, second = (_centred(network.class_token(_resized(images), normed=False)) for images in pair)
            distances.append(1 - F.cosine_similarity(first, second, dim=-1))
        return torch.cat(distances)


def weights_paths() -> tuple[Path, Path, Path]:
    """Return the files of the backbone, the low-rank updates and their configuration.

    Raises:
        WeightsError: one is missing.
    """
    backbone = weights.require(_BACKBONE, "DINO ViT-B/16 of the metric dreamsim", _BACKBONE_URL)
    config = weights.require(f"{_ADAPTER}/adapter_config.json", "configuration of the metric dreamsim", _ADAPTER_URL)
    found = [config.parent / name for name in _ADAPTER_FILES if (config.parent / name).is_file()]
    if found:
        return backbone, found[0], config
    return backbone, weights.require(f"{_ADAPTER}/{_ADAPTER_FILES[0]}", "metric dreamsim", _ADAPTER_URL), config


def load_network() -> DinoVit:
    """Return the backbone with the low-rank updates added to its weights: W + alpha / rank * B A.

    Raises:
        WeightsError: a file is missing, or the updates do not fit the backbone.
    """
    backbone, adapter, config = weights_paths()
    state = torch.load(backbone, map_location="cpu", weights_only=True)
    options = json.loads(config.read_text(encoding="utf-8"))
    scale = options["lora_alpha"] / options["r"]
    if adapter.suffix == ".safetensors":
        updates = safetensors.torch.load_file(adapter)
    else:
        updates = torch.load(adapter, map_location="cpu", weights_only=True)
    factors = {(int(match[1]), match[2]): value for key, value in updates.items() if (match := _UPDATE.search(key))}
    blocks = {block for block, _ in factors}
    targets = [f"blocks.{block}.attn.qkv.weight" for block in sorted(blocks)]
    if not blocks or len(factors) != 2 * len(blocks) or not set(targets) <= set(state):
        raise WeightsError(
            f"{adapter} does not hold low-rank updates of the blocks in {backbone}. Get it: {_ADAPTER_URL}."
        )
    for block, target in zip(sorted(blocks), targets, strict=True):
        state[target] = state[target] + scale * factors[block, "B"] @ factors[block, "A"]
    return DinoVit(state)


def _resized(images: UInt8[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 3 224 224"]:
    unit = images.float() / 255
    if images.shape[-2:] == (_SIZE, _SIZE):
        return unit
    return F.interpolate(unit, (_SIZE, _SIZE), mode="bicubic", antialias=True, align_corners=False).clamp(0, 1)


def _centred(embedding: Float[Tensor, "batch channels"]) -> Float64[Tensor, "batch channels"]:
    wide = embedding.double()
    return wide - wide.mean(dim=-1, keepdim=True)
