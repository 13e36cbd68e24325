"""Inception-v3 as in the original FID (Heusel et al. 2017, arXiv:1706.08500): torch-fidelity's own extractor.

The weights are TensorFlow's of 2015-12-05 in torch-fidelity's conversion; the file is in no package and must be placed
by hand (`vtbench.features.weights`).

Layers: `pooled`, 2048 features after the last pooling (FID, KID, precision and recall); `logits`, 1008 classes without
the bias, which is what the Inception Score has always been taken from; `spatial`, the first 7 channels of the 17x17
maps of `mixed_6` (torchvision's `Mixed_6d`), which sFID takes (Nash et al. 2021, arXiv:2103.03841; ADM's evaluator).
"""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import torch
from torch import Tensor
from torch_fidelity.feature_extractor_inceptionv3 import URL_INCEPTION_V3, FeatureExtractorInceptionV3
from torch_fidelity.interpolate_compat_tensorflow import interpolate_bilinear_2d_like_tensorflow1x

from vtbench.features import weights
from vtbench.features.network import LOGITS, POOLED, SPATIAL, FeatureNetwork, Images

FILE_NAME = URL_INCEPTION_V3.rpartition("/")[2]
_SPATIAL_CHANNELS, _SPATIAL_SIDE = 7, 17
_SPATIAL_MODULE = "Mixed_6d"
_MODULES = (
    *("Conv2d_1a_3x3", "Conv2d_2a_3x3", "Conv2d_2b_3x3", "MaxPool_1", "Conv2d_3b_1x1", "Conv2d_4a_3x3", "MaxPool_2"),
    *("Mixed_5b", "Mixed_5c", "Mixed_5d", "Mixed_6a", "Mixed_6b", "Mixed_6c", _SPATIAL_MODULE, "Mixed_6e"),
    *("Mixed_7a", "Mixed_7b", "Mixed_7c", "AvgPool"),
)
"""torch-fidelity's modules, in the order of its own forward pass, which takes no float images and has no `spatial`."""


class Inception(FeatureNetwork):
    """Inception-v3: pooled features, classes, and a map of places."""

    name = "inception"
    layers = {POOLED: (2048,), LOGITS: (1008,), SPATIAL: (_SPATIAL_CHANNELS * _SPATIAL_SIDE**2,)}  # noqa: RUF012
    input_size = FeatureExtractorInceptionV3.INPUT_IMAGE_SIZE
    preprocessing = "TensorFlow 1's bilinear resize to 299x299 without antialiasing; (x - 128) / 128"

    def __init__(self) -> None:
        path = self.weights_path()
        # torch-fidelity unpickles the file without restriction; reading it with the restriction first refuses code
        torch.load(path, map_location="cpu", weights_only=True)
        self._extractor = FeatureExtractorInceptionV3(
            "inception-v3-compat", ["2048"], feature_extractor_weights_path=str(path)
        )

    @classmethod
    def weights_path(cls) -> Path:
        """Return torch-fidelity's weights file."""
        return weights.require(FILE_NAME, "Inception-v3 (rFID, gFID)", URL_INCEPTION_V3)

    def to(self, device: torch.device) -> Inception:
        """Move to `device` and return self."""
        self._extractor.to(device)
        return self

    def forward_layers(self, images: Images, layers: Collection[str]) -> dict[str, Tensor]:
        """Return the named layers of images in [0, 255]."""
        size = (self.input_size, self.input_size)
        x = (interpolate_bilinear_2d_like_tensorflow1x(images.float(), size=size, align_corners=False) - 128) / 128
        found = {}
        for name in _MODULES:
            x = getattr(self._extractor, name)(x)
            if name == _SPATIAL_MODULE:
                found[SPATIAL] = x[:, :_SPATIAL_CHANNELS].flatten(1)
        found[POOLED] = x.flatten(1)
        if LOGITS in layers:
            found[LOGITS] = found[POOLED].mm(self._extractor.fc.weight.T)
        return {layer: found[layer] for layer in layers}
