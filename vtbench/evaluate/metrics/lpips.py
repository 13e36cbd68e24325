"""LPIPS (Zhang et al. 2018, arXiv:1801.03924) with VGG16 and version 0.1's channel weights, at the images' own size.

The network and its files are those of the perceptual loss `lpips` (`vtbench.models.losses.lpips`). Papers report LPIPS
over AlexNet, too, which is smaller by about a third: never compare the two.
"""

from __future__ import annotations

import functools
import math

import torch
from jaxtyping import Float, Float64, UInt8
from torch import Tensor

from vtbench.evaluate.metric import Value
from vtbench.evaluate.metrics.per_image import PerImageMetric
from vtbench.features import weights
from vtbench.models.losses.lpips import LpipsLoss

_IMAGES = 16


class Lpips(PerImageMetric):
    """Mean LPIPS over VGG16."""

    name = "lpips"
    title = "LPIPS (VGG16)"
    higher_is_better = False
    source = "Zhang et al. 2018, eq. 1; VGG16, weights version 0.1, images in [-1, 1] at their own size"
    value_range = (0.0, math.inf)
    equation = r"\sum_l \mathrm{mean}_{hw}\, w_l^\top (\hat y_l - \hat y_{0l})^2"

    @classmethod
    def check(cls) -> None:
        """Raise a `WeightsError` if a weights file is missing."""
        LpipsLoss.check()

    @classmethod
    def protocol(cls) -> dict[str, Value]:
        """Return the backbone and the hashes of both files."""
        backbone, linear = LpipsLoss.weights_paths()
        return {
            "backbone": "vgg16",
            "weights_sha256": weights.sha256(backbone),
            "linear_sha256": weights.sha256(linear),
            "preprocessing": "own size, [-1, 1]",
            "feature_batch": _IMAGES,
        }

    @functools.cached_property
    def _network(self) -> _Distances:
        return _Distances(size=None)

    @torch.no_grad()
    def measure(
        self, reference: UInt8[Tensor, "batch 3 height width"], produced: UInt8[Tensor, "batch 3 height width"]
    ) -> Float64[Tensor, " batch"]:
        """Return the distance of each pair."""
        network = self._network.to(reference.device)
        pairs = zip(reference.split(_IMAGES), produced.split(_IMAGES), strict=True)
        return torch.cat([network.distances(x.float() / 255, y.float() / 255).double() for x, y in pairs])


class _Distances(LpipsLoss):
    """The same network, with one distance a pair."""

    def distances(
        self, first: Float[Tensor, "batch 3 height width"], second: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, " batch"]:
        """Return the distance of each pair of images in [0, 1], at least 0."""
        total = first.new_zeros(len(first))
        for one, two, weight in zip(self._stages(first), self._stages(second), self.linear, strict=True):
            total = total + torch.einsum("bchw,c->bhw", (one - two).square(), weight).mean(dim=(1, 2))
        return total
