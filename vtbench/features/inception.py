"""Inception-v3 as in the original FID (Heusel et al. 2017, arXiv:1706.08500): torch-fidelity's own extractor.

The weights are TensorFlow's of 2015-12-05 in torch-fidelity's conversion; the file is in no package and must be placed
by hand (`vtbench.features.weights`).
"""

from __future__ import annotations

from pathlib import Path

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor
from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3, FeatureExtractorInceptionV3

from vtbench.features import weights
from vtbench.features.network import FeatureNetwork

FILE_NAME = URL_INCEPTION_V3.rpartition("/")[2]


class Inception(FeatureNetwork):
    """The 2048 features after the last pooling of Inception-v3."""

    name = "inception"
    dim = 2048
    preprocessing = "TensorFlow 1's bilinear resize to 299x299 without antialiasing; (x - 128) / 128"

    def __init__(self) -> None:
        path = self.weights_path()
        # torch-fidelity unpickles the file without restriction; reading it with the restriction first refuses code
        torch.load(path, map_location="cpu", weights_only=True)
        self._extractor = FeatureExtractorInceptionV3(
            "inception-v3-compat", [str(self.dim)], feature_extractor_weights_path=str(path)
        )

    @classmethod
    def weights_path(cls) -> Path:
        """Return torch-fidelity's weights file."""
        return weights.require(FILE_NAME, "Inception-v3 (rFID, gFID)", URL_INCEPTION_V3)

    def to(self, device: torch.device) -> Inception:
        """Move to `device` and return self."""
        self._extractor.to(device)
        return self

    @torch.no_grad()
    def features(self, images: UInt8[Tensor, "batch 3 height width"]) -> Float32[Tensor, "batch 2048"]:
        """Return the pooled features of images in [0, 255]."""
        features: Tensor = self._extractor(images)[0]
        return features
