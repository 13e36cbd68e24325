"""Structural similarity (Wang et al. 2004), the mean over channels and images.

Gaussian window of 11x11 with standard deviation 1.5, constants 0.01 and 0.03, population covariances, data range 255,
as scikit-image's `structural_similarity` with `gaussian_weights=True, sigma=1.5, use_sample_covariance=False`. The
map is averaged where the window lies wholly inside the image.
"""

from __future__ import annotations

import torch
from jaxtyping import Float64, UInt8
from torch import Tensor

from vtbench.errors import ResolutionError
from vtbench.evaluate.metrics.per_image import PerImageMetric

_WINDOW = 11
_SIGMA = 1.5
_C1 = (0.01 * 255) ** 2
_C2 = (0.03 * 255) ** 2


class Ssim(PerImageMetric):
    """Mean SSIM, at most 1."""

    name = "ssim"
    title = "SSIM"
    higher_is_better = True
    source = "Wang et al. 2004; Gaussian window 11, sigma 1.5, uint8 RGB, mean over channels; as scikit-image"

    def measure(
        self, reference: UInt8[Tensor, "batch 3 height width"], produced: UInt8[Tensor, "batch 3 height width"]
    ) -> Float64[Tensor, " batch"]:
        """Return the SSIM of each pair.

        Raises:
            ResolutionError: the images are smaller than the window.
        """
        height, width = reference.shape[-2:]
        if min(height, width) < _WINDOW:
            raise ResolutionError(
                f"SSIM needs images of at least {_WINDOW}x{_WINDOW} pixels, not {height}x{width}."
                " Leave the metric or this resolution out."
            )
        # one image at a time: five float64 maps of a whole batch at 1024x1024 would not fit into a small memory
        return torch.stack([_ssim(x.double(), y.double()) for x, y in zip(reference, produced, strict=True)])


def _ssim(x: Float64[Tensor, "3 height width"], y: Float64[Tensor, "3 height width"]) -> Float64[Tensor, ""]:
    mean_x, mean_y, mean_xx, mean_yy, mean_xy = _blur(torch.stack([x, y, x * x, y * y, x * y]))
    variance_x, variance_y, covariance = mean_xx - mean_x**2, mean_yy - mean_y**2, mean_xy - mean_x * mean_y
    numerator = (2 * mean_x * mean_y + _C1) * (2 * covariance + _C2)
    denominator = (mean_x**2 + mean_y**2 + _C1) * (variance_x + variance_y + _C2)
    return torch.mean(numerator / denominator)


def _blur(images: Float64[Tensor, "*batch height width"]) -> Float64[Tensor, "*batch valid_height valid_width"]:
    """Return Gaussian means where the window fits: sums of shifted views, as float64 convolution is slow on a CPU."""
    offsets = torch.arange(_WINDOW, dtype=torch.float64) - _WINDOW // 2
    weights = torch.exp(-0.5 * (offsets / _SIGMA) ** 2)
    window = (weights / weights.sum()).tolist()
    for dim in (-1, -2):
        length = images.shape[dim] - _WINDOW + 1
        blurred = images.narrow(dim, 0, length) * window[0]
        for shift in range(1, _WINDOW):
            blurred.add_(images.narrow(dim, shift, length), alpha=window[shift])
        images = blurred
    return images
