"""Squared distance between ConvNeXt-S logits at 224 x 224: the second perceptual term of TiTok's and VibeToken's code.

The official recipe adds it to LPIPS with weight 0.1, which a study writes as `{name: convnext_s, weight: 0.1}`; no
weight is applied here. Network: Liu et al. 2022, arXiv:2201.03545, with torchvision's ImageNet-1k weights.
"""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F
from torchvision.models import convnext_small

from vtbench.features import weights
from vtbench.models.losses.perceptual import PerceptualLoss, imagenet_normalise, resize

_FILE = "convnext_small-0c510722.pth"
_SIZE = 224


class ConvnextLoss(PerceptualLoss):
    """Mean squared difference of the logits.

    Args:
        network: maps normalised images, shape (batch, 3, 224, 224), to logits; None loads torchvision's ConvNeXt-S.

    Raises:
        WeightsError: the file is missing.
    """

    def __init__(self, network: nn.Module | None = None) -> None:
        super().__init__()
        self.network = network or self._load()
        self.requires_grad_(False)
        self.eval()

    @classmethod
    def weights_path(cls) -> Path:
        """Return the weights file; raise a `WeightsError` if it is missing."""
        return weights.require(
            _FILE, "ConvNeXt-S of the perceptual loss convnext_s", f"https://download.pytorch.org/models/{_FILE}"
        )

    @classmethod
    def check(cls) -> None:
        """Raise a `WeightsError` if the file is missing."""
        cls.weights_path()

    @classmethod
    def _load(cls) -> nn.Module:
        path = cls.weights_path()
        with torch.device("meta"):
            network: nn.Module = convnext_small(weights=None)
        network.load_state_dict(torch.load(path, map_location="cpu", weights_only=True), assign=True)
        return network

    def forward(
        self, reconstruction: Float[Tensor, "batch 3 height width"], targets: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, ""]:
        """Return the squared difference of logits, averaged over classes and images."""
        with torch.no_grad():
            wanted = self._logits(targets)
        return F.mse_loss(self._logits(reconstruction), wanted)

    def _logits(self, images: Tensor) -> Tensor:
        logits: Tensor = self.network(imagenet_normalise(resize(images, (_SIZE, _SIZE))))
        return logits.float()
