"""Mean absolute error, with pixel values on the scale [0, 1]."""

from __future__ import annotations

from jaxtyping import Float64, UInt8
from torch import Tensor

from vtbench.evaluate.metrics.per_image import PerImageMetric


class Mae(PerImageMetric):
    """Mean absolute error of uint8 images, divided by 255."""

    name = "mae"
    title = "MAE"
    unit = "pixels in [0, 1]"
    higher_is_better = False
    source = "mean |difference| / 255 over all channels of uint8 RGB; mean over images"
    value_range = (0.0, 1.0)
    equation = r"\frac{1}{3HW} \sum |x - \hat x| / 255"

    def measure(
        self, reference: UInt8[Tensor, "batch 3 height width"], produced: UInt8[Tensor, "batch 3 height width"]
    ) -> Float64[Tensor, " batch"]:
        """Return the mean absolute error of each pair, in [0, 1]."""
        return (reference.int() - produced.int()).abs().double().mean(dim=(1, 2, 3)) / 255
