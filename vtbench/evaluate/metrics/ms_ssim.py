"""Multi-scale structural similarity (Wang, Simoncelli & Bovik 2003, equation 7).

Five scales, each half the size of the one before (2x2 mean, an odd last row or column dropped), with the paper's
exponents. Contrast and structure count at every scale, luminance at the smallest alone. Window and constants are those
of `ssim`. The product is taken for each channel, then the mean over channels, as is usual for colour.

Deviation: a negative contrast-structure term, which has no real power, counts as 0.
"""

from __future__ import annotations

import torch
from jaxtyping import Float64, UInt8
from torch import Tensor
from torch.nn import functional as F

from vtbench.errors import ResolutionError
from vtbench.evaluate.metrics.per_image import PerImageMetric
from vtbench.evaluate.metrics.ssim import WINDOW, similarity_terms

EXPONENTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
MIN_SIDE = WINDOW * 2 ** (len(EXPONENTS) - 1)
"""Smallest height and width in pixels: the window must fit into the last scale."""
_PIXELS = 2**16
"""Pixels of the images that are handled at once."""


class MsSsim(PerImageMetric):
    """Mean MS-SSIM over five scales, at most 1."""

    name = "ms_ssim"
    title = "MS-SSIM"
    higher_is_better = True
    source = "Wang et al. 2003, eq. 7; five scales, Gaussian window 11, sigma 1.5, uint8 RGB, mean over channels"
    value_range = (0.0, 1.0)
    equation = r"l_M(x, \hat x)^{\alpha_M} \prod_{j=1}^{M} c s_j(x, \hat x)^{\alpha_j}"

    def measure(
        self, reference: UInt8[Tensor, "batch 3 height width"], produced: UInt8[Tensor, "batch 3 height width"]
    ) -> Float64[Tensor, " batch"]:
        """Return the MS-SSIM of each pair.

        Raises:
            ResolutionError: the images are smaller than `MIN_SIDE`.
        """
        height, width = reference.shape[-2:]
        if min(height, width) < MIN_SIDE:
            raise ResolutionError(
                f"MS-SSIM needs images of at least {MIN_SIDE}x{MIN_SIDE} pixels, not {height}x{width}."
                " Leave the metric or this resolution out."
            )
        at_once = max(1, _PIXELS // (height * width))
        parts = zip(reference.split(at_once), produced.split(at_once), strict=True)
        return torch.cat([_ms_ssim(x.double(), y.double()) for x, y in parts])


def _ms_ssim(
    x: Float64[Tensor, "batch 3 height width"], y: Float64[Tensor, "batch 3 height width"]
) -> Float64[Tensor, " batch"]:
    product = torch.ones(x.shape[:2], dtype=torch.float64, device=x.device)
    for scale, exponent in enumerate(EXPONENTS):
        luminance, contrast_structure = similarity_terms(x, y)
        last = scale == len(EXPONENTS) - 1
        term = (luminance * contrast_structure if last else contrast_structure).mean(dim=(-2, -1))
        product = product * term.clamp(min=0) ** exponent
        if not last:
            x, y = F.avg_pool2d(x, 2), F.avg_pool2d(y, 2)
    return product.mean(dim=1)
