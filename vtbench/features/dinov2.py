"""DINOv2 ViT-L/14 (Oquab et al. 2023, arXiv:2304.07193): the class token after the last norm, without registers.

Stein et al. 2023 (arXiv:2306.04675) find distances over these features closer to human judgement than the FID. The
file is in no package and must be placed by hand (`vtbench.features.weights`). Deviation: their images are resized by
Pillow's bicubic filter and rounded; here by torch's, antialiased, and not rounded.
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from vtbench.errors import WeightsError
from vtbench.features import weights
from vtbench.features.dino_vit import DinoVit
from vtbench.features.network import POOLED, FeatureNetwork, Images

FILE_NAME = "dinov2_vitl14_pretrain.pth"
SOURCE = f"https://dl.fbaipublicfiles.com/dinov2/dinov2_vitl14/{FILE_NAME}"


class DinoV2(FeatureNetwork):
    """The 1024 numbers of DINOv2's class token."""

    name = "dinov2"
    layers = {POOLED: (1024,)}  # noqa: RUF012
    input_size = 224
    preprocessing = "bicubic to 224x224 with antialiasing, not rounded; ImageNet's mean and deviation"

    def __init__(self) -> None:
        path = self.weights_path()
        state = torch.load(path, map_location="cpu", weights_only=True)
        try:
            self._vit = DinoVit(state)
        except (KeyError, ValueError, RuntimeError) as error:
            raise WeightsError(f"{path} does not hold DINOv2 ViT-L/14. Get it from {SOURCE}.") from error

    @classmethod
    def weights_path(cls) -> Path:
        """Return the authors' weights file."""
        return weights.require(FILE_NAME, "DINOv2 ViT-L/14 (rfd_dinov2)", SOURCE)

    def to(self, device: torch.device) -> DinoV2:
        """Move to `device` and return self."""
        self._vit.to(device)
        return self

    def forward_layers(self, images: Images, layers: Collection[str]) -> dict[str, Tensor]:
        """Return the class token of images in [0, 255]."""
        unit = images.float() / 255
        size = (self.input_size, self.input_size)
        if unit.shape[-2:] != size:
            unit = F.interpolate(unit, size, mode="bicubic", antialias=True).clamp(0, 1)
        return {POOLED: self._vit.class_token(unit)}
