"""Peak signal-to-noise ratio, 10 log10(255^2 / MSE), of uint8 images; the mean of the images' values in dB.

The mean of the images' decibels is not the decibels of their mean error; most papers on tokenizers report the former.
"""

from __future__ import annotations

import torch
from jaxtyping import Float64, UInt8
from torch import Tensor

from vtbench.evaluate.metrics.per_image import PerImageMetric

CAP_DB = 100.0
"""What an image counts at most: an identical one would be infinite, and with it the mean."""


class Psnr(PerImageMetric):
    """Mean PSNR in dB, each image capped at `CAP_DB`."""

    name = "psnr"
    title = "PSNR"
    unit = "dB"
    higher_is_better = True
    source = "10 log10(255^2 / MSE) over all channels of uint8 RGB; mean over images"
    value_range = (0.0, CAP_DB)
    equation = r"10 \log_{10}(255^2 / \mathrm{MSE}(x, \hat x))"

    def measure(
        self, reference: UInt8[Tensor, "batch 3 height width"], produced: UInt8[Tensor, "batch 3 height width"]
    ) -> Float64[Tensor, " batch"]:
        """Return the PSNR of each pair in dB."""
        squared_error = (reference.int() - produced.int()).square().double().mean(dim=(1, 2, 3))
        return (10 * torch.log10(255**2 / squared_error)).clamp(max=CAP_DB)
