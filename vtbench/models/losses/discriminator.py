"""PatchGAN discriminator that shrinks by blurring: MaskBit's (Weber et al. 2024, arXiv:2409.16211), as in VibeToken.

A 5 x 5 convolution; `num_layers` stages of 3 x 3 convolution, blur-pooling by 2 (Zhang 2019, arXiv:1904.11486, kernel
1 3 3 1), group normalisation and leaky ReLU; then one output for each patch. Strided convolutions alias, and a
generator learns to exploit it; blurring first prevents that. Deviations: the outputs are not pooled to a fixed 16 x 16
grid, so that each patch counts the same at every resolution, and the blur repeats the border instead of padding with
zeros.
"""

from __future__ import annotations

from math import gcd

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

_SLOPE = 0.1
_MAX_GROUPS = 32


class BlurPool(nn.Module):
    """Halves height and width after a binomial blur; a constant image stays the same constant."""

    kernel: Tensor

    def __init__(self) -> None:
        super().__init__()
        row = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
        self.register_buffer("kernel", torch.outer(row, row)[None, None], persistent=False)

    def forward(self, x: Float[Tensor, "batch channels height width"]) -> Float[Tensor, "batch channels _h _w"]:
        """Return half the height and width, rounded up."""
        channels, height, width = x.shape[1:]
        x = F.pad(x, (1, 1 + width % 2, 1, 1 + height % 2), mode="replicate")
        return F.conv2d(x, self.kernel.to(x.dtype).expand(channels, 1, 4, 4), stride=2, groups=channels)


class PatchDiscriminator(nn.Module):
    """Tells real patches from reconstructed ones.

    Args:
        base_channels: of the first convolution; each stage doubles them up to four times as many.
        num_layers: stages, each halving the image.
    """

    def __init__(self, base_channels: int = 64, num_layers: int = 3) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.Conv2d(3, base_channels, 5, padding=2), nn.LeakyReLU(_SLOPE)]
        channels = base_channels
        for stage in range(num_layers):
            out_channels = base_channels * min(2**stage, 4)
            layers += [
                nn.Conv2d(channels, out_channels, 3, padding=1),
                BlurPool(),
                nn.GroupNorm(gcd(_MAX_GROUPS, out_channels), out_channels),
                nn.LeakyReLU(_SLOPE),
            ]
            channels = out_channels
        layers += [nn.Conv2d(channels, channels, 1), nn.LeakyReLU(_SLOPE), nn.Conv2d(channels, 1, 5, padding=2)]
        self.layers = nn.Sequential(*layers)

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch 1 _rows _columns"]:
        """Return one output for each patch of images in [0, 1]: above 0 for real."""
        outputs: Tensor = self.layers(2 * images - 1)
        return outputs
