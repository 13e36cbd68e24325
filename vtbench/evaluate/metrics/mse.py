"""Mean squared error, with pixel values on the scale [0, 1]."""

from __future__ import annotations

from jaxtyping import Float64, UInt8
from torch import Tensor

from vtbench.evaluate.metrics.per_image import PerImageMetric


class Mse(PerImageMetric):
    """Mean squared error of uint8 images, divided by 255^2."""

    name = "mse"
    title = "MSE"
    unit = "squared pixels in [0, 1]"
    higher_is_better = False
    source = "mean (difference / 255)^2 over all channels of uint8 RGB; mean over images"
    value_range = (0.0, 1.0)
    equation = r"\frac{1}{3HW} \sum (x - \hat x)^2 / 255^2"

    def measure(
        self, reference: UInt8[Tensor, "batch 3 height width"], produced: UInt8[Tensor, "batch 3 height width"]
    ) -> Float64[Tensor, " batch"]:
        """Return the mean squared error of each pair, in [0, 1]."""
        return (reference.int() - produced.int()).square().double().mean(dim=(1, 2, 3)) / 255**2
