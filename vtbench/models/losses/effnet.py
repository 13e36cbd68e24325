"""Perceptual distance over EfficientNet-Lite0, whose ImageNet weights install as a package: the default offline.

The distance of LPIPS (Zhang et al. 2018, arXiv:1801.03924, equation 1) without its learned channel weights: features
are scaled to unit length at each position, and the squared length of their difference, in [0, 4], is averaged over
positions, then over stages. Unlike LPIPS as VibeToken uses it, images are compared at their own size, not at 224 x
224: small images would only be enlarged, at many times the cost.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor

from vtbench.features.effnet_lite0 import EffnetLite0
from vtbench.models.losses.perceptual import PerceptualLoss, unit_channels


class EffnetLoss(PerceptualLoss):
    """Mean over stages of the squared distance between unit feature vectors.

    Args:
        stages: which maps of the pyramid (0 to 4, at strides 2 to 32) take part; None means all. An image smaller
        than a
            stride still has one position at that stage.
    """

    def __init__(self, stages: Sequence[int] | None = None) -> None:
        super().__init__()
        self.network = EffnetLite0()
        self.stages = tuple(range(5)) if stages is None else tuple(stages)

    @classmethod
    def check(cls) -> None:
        """Raise a `WeightsError` if the installed package lacks its file."""
        EffnetLite0.weights_path()

    def forward(
        self, reconstruction: Float[Tensor, "batch 3 height width"], targets: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, ""]:
        """Return the distance, in [0, 4]."""
        with torch.no_grad():
            wanted = self.network.pyramid(targets)
        made = self.network.pyramid(reconstruction)
        distances = [
            (unit_channels(made[i]) - unit_channels(wanted[i])).square().sum(dim=1).mean() for i in self.stages
        ]
        return torch.stack(distances).mean()
