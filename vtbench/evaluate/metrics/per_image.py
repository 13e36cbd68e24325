"""What metrics share that are a number for each pair of images and report the mean."""

from __future__ import annotations

from abc import abstractmethod

from jaxtyping import Float64, UInt8
from torch import Tensor

from vtbench.errors import DataError
from vtbench.evaluate.metric import Batch, Measured, Metric, Quantity, Result
from vtbench.evaluate.statistics import mean


class PerImageMetric(Metric):
    """Mean over images of `measure`. The sum is exact, so neither order nor batch size shows in the value."""

    @abstractmethod
    def measure(
        self, reference: UInt8[Tensor, "batch 3 height width"], produced: UInt8[Tensor, "batch 3 height width"]
    ) -> Float64[Tensor, " batch"]:
        """Return the value of each pair."""

    def quantities(self) -> tuple[Quantity, ...]:
        """Return the one number of each pair, under the metric's name."""
        return (Quantity(self.name, "pair", (), "float64", version=self.version),)

    def rows(self, batch: Batch) -> dict[str, Tensor]:
        """Return `measure` of the batch."""
        return {self.name: self.measure(batch.reference, batch.produced)}

    def compute(self, measured: Measured) -> Result:
        """Return the mean over all images with its t-interval.

        Raises:
            DataError: there were none.
        """
        values = measured.rows(self.quantities()[0])
        if not len(values):
            raise DataError(f"{self.title} needs at least one image.")
        found = mean(values)
        return Result(found.value, found.interval if found.known else None)
