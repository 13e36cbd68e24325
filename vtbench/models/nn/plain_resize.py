"""A plain bilinear resize with antialiasing: what VibeToken's learned resizable blur is compared with."""

from __future__ import annotations

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F


class PlainResize(nn.Module):
    """Takes images of any size to any size; learns nothing."""

    def forward(
        self, images: Float[Tensor, "batch 3 in_height in_width"], size: tuple[int, int]
    ) -> Float[Tensor, "batch 3 height width"]:
        """Return images of `size` (height, width in pixels)."""
        if images.shape[-2:] == size:
            return images
        return F.interpolate(images, size=size, mode="bilinear", align_corners=False, antialias=True)
