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

WINDOW = 11
SIGMA = 1.5
C1 = (0.01 * 255) ** 2
C2 = (0.03 * 255) ** 2
_PIXELS = {"cpu": 2**13}
"""Pixels that are handled at once on a kind of device: on a CPU their float64 maps then stay in its cache."""
_PIXELS_ELSEWHERE = 2**22


class Ssim(PerImageMetric):
    """Mean SSIM, at most 1."""

    name = "ssim"
    title = "SSIM"
    higher_is_better = True
    source = "Wang et al. 2004; Gaussian window 11, sigma 1.5, uint8 RGB, mean over channels; as scikit-image"
    value_range = (-1.0, 1.0)
    equation = (
        r"\frac{(2 \mu_x \mu_y + C_1)(2 \sigma_{xy} + C_2)}{(\mu_x^2 + \mu_y^2 + C_1)(\sigma_x^2 + \sigma_y^2 + C_2)}"
    )

    def measure(
        self, reference: UInt8[Tensor, "batch 3 height width"], produced: UInt8[Tensor, "batch 3 height width"]
    ) -> Float64[Tensor, " batch"]:
        """Return the SSIM of each pair.

        Raises:
            ResolutionError: the images are smaller than the window.
        """
        height, width = reference.shape[-2:]
        if min(height, width) < WINDOW:
            raise ResolutionError(
                f"SSIM needs images of at least {WINDOW}x{WINDOW} pixels, not {height}x{width}."
                " Leave the metric or this resolution out."
            )
        at_once = max(1, _pixels(reference) // (height * width))
        parts = zip(reference.split(at_once), produced.split(at_once), strict=True)
        return torch.cat([_ssim(x, y) for x, y in parts])


def _ssim(
    x: UInt8[Tensor, "batch 3 height width"], y: UInt8[Tensor, "batch 3 height width"]
) -> Float64[Tensor, " batch"]:
    """Return the mean of the map, which is made in strips of rows."""
    batch, _, height, width = x.shape
    valid_height, valid_width = height - WINDOW + 1, width - WINDOW + 1
    rows = max(1, _pixels(x) // (batch * width))
    total = torch.zeros(batch, dtype=torch.float64, device=x.device)
    for top in range(0, valid_height, rows):
        bottom = min(top + rows, valid_height) + WINDOW - 1
        luminance, contrast_structure = similarity_terms(x[..., top:bottom, :].double(), y[..., top:bottom, :].double())
        total += luminance.mul_(contrast_structure).sum(dim=(1, 2, 3))
    return total / (3 * valid_height * valid_width)


def _pixels(images: Tensor) -> int:
    return _PIXELS.get(images.device.type, _PIXELS_ELSEWHERE)


def similarity_terms(
    x: Float64[Tensor, "*batch height width"], y: Float64[Tensor, "*batch height width"]
) -> tuple[Float64[Tensor, "*batch valid_height valid_width"], Float64[Tensor, "*batch valid_height valid_width"]]:
    """Return SSIM's map of luminance and its map of contrast times structure, for values in [0, 255].

    The two variances enter as their sum alone, so four means are enough.
    """
    mean_x, mean_y, mean_squares, mean_xy = blur(torch.stack([x, y, x * x + y * y, x * y]))
    product = mean_x * mean_y
    squares = mean_x.square_().add_(mean_y.square_())
    luminance = (2 * product + C1).div_(squares + C1)
    contrast_structure = mean_xy.sub_(product).mul_(2).add_(C2).div_(mean_squares.sub_(squares).add_(C2))
    return luminance, contrast_structure


def blur(images: Float64[Tensor, "*batch height width"]) -> Float64[Tensor, "*batch valid_height valid_width"]:
    """Return Gaussian means where the window fits.

    The window is a product of two vectors: along each side, sums of shifted views, as float64 convolution is slow on a
    CPU.
    """
    offsets = torch.arange(WINDOW, dtype=torch.float64) - WINDOW // 2
    weights = torch.exp(-0.5 * (offsets / SIGMA) ** 2)
    window = (weights / weights.sum()).tolist()
    for dim in (-2, -1):
        length = images.shape[dim] - WINDOW + 1
        blurred = images.narrow(dim, 0, length) * window[0]
        for shift in range(1, WINDOW):
            blurred.add_(images.narrow(dim, shift, length), alpha=window[shift])
        images = blurred
    return images
