"""What metrics share that are a number for each image and report the mean."""

from __future__ import annotations

import math
from abc import abstractmethod

from jaxtyping import Float64, UInt8
from torch import Tensor

from vtbench.errors import DataError
from vtbench.evaluate.metric import Metric


class PerImageMetric(Metric):
    """Mean over images of `measure`. The sum is exact, so neither order nor batch size shows in the value."""

    def __init__(self) -> None:
        self._values: list[float] = []

    @abstractmethod
    def measure(
        self, reference: UInt8[Tensor, "batch 3 height width"], produced: UInt8[Tensor, "batch 3 height width"]
    ) -> Float64[Tensor, " batch"]:
        """Return the value of each pair."""

    def update(
        self, reference: UInt8[Tensor, "batch 3 height width"], produced: UInt8[Tensor, "batch 3 height width"]
    ) -> None:
        """Add one batch of pairs."""
        self._values.extend(self.measure(reference, produced).tolist())

    def compute(self) -> float:
        """Return the mean over all images so far.

        Raises:
            DataError: there were none.
        """
        if not self._values:
            raise DataError(f"{self.title} needs at least one image.")
        return math.fsum(self._values) / len(self._values)
