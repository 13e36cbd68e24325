"""What the tokenizer's loss asks of a perceptual distance, and what the distances share."""

from __future__ import annotations

from abc import ABC, abstractmethod

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class PerceptualLoss(nn.Module, ABC):
    """A distance between images, taken in a frozen network's features.

    Made without arguments by its registry name. Its networks need no gradients of their own and stay in evaluation
    mode.
    """

    @classmethod
    @abstractmethod
    def check(cls) -> None:
        """Raise a `WeightsError` if a weights file is missing; loads nothing."""

    @abstractmethod
    def forward(
        self, reconstruction: Float[Tensor, "batch 3 height width"], targets: Float[Tensor, "batch 3 height width"]
    ) -> Float[Tensor, ""]:
        """Return the batch's mean distance, at least 0.

        Args:
            reconstruction: RGB in [0, 1] up to overshoot; gradients flow back to it.
            targets: RGB in [0, 1]; no gradients.
        """

    def train(self, mode: bool = True) -> PerceptualLoss:
        """Stay in evaluation mode, whatever `mode` says."""
        return super().train(False)


def unit_channels(features: Float[Tensor, "batch channels *size"]) -> Float[Tensor, "batch channels *size"]:
    """Scale the channels of each position to length 1, in fp32; a position of zeros stays zero."""
    features = features.float()
    # The epsilon belongs inside the root: the gradient of a bare root is infinite at zero.
    return features / torch.sqrt(features.square().sum(dim=1, keepdim=True) + 1e-10)


def resize(
    images: Float[Tensor, "batch 3 height width"], size: tuple[int, int]
) -> Float[Tensor, "batch 3 new_height new_width"]:
    """Resize bilinearly with antialiasing; an image of this size is returned as it is."""
    if images.shape[-2:] == size:
        return images
    return F.interpolate(images, size=size, mode="bilinear", align_corners=False, antialias=True)


def imagenet_normalise(images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 3 height width"]:
    """Bring images in [0, 1] to the mean 0 and deviation 1 of ImageNet's pixels, as torchvision's networks expect."""
    mean = images.new_tensor([0.485, 0.456, 0.406])[:, None, None]
    std = images.new_tensor([0.229, 0.224, 0.225])[:, None, None]
    return (images - mean) / std
