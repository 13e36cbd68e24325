"""What an image costs in codes: bits a pixel.

codebooks x tokens x log2(codebook_size) / (height x width). Bits are not rounded up to whole ones, and codes are not
entropy-coded: it is the rate of a tokenizer whose codes are stored as one number in mixed radix.
"""

from __future__ import annotations

import math

from vtbench.errors import DataError
from vtbench.evaluate.metric import CODES, Measured, Metric, Quantity, Result


class BitsPerPixel(Metric):
    """Bits of an image's codes, divided by its pixels."""

    name = "bits_per_pixel"
    title = "Rate"
    unit = "bits/pixel"
    higher_is_better = False
    source = "tokens x sum over codebooks of log2(codebook size), without rounding up, / (height x width)"
    value_range = (0.0, math.inf)
    equation = r"L \sum_{k} \log_2 K_k / (H W)"

    def quantities(self) -> tuple[Quantity, ...]:
        """Return the codes, of which only the shape counts."""
        return (CODES,)

    def compute(self, measured: Measured) -> Result:
        """Return the rate.

        Raises:
            DataError: there are no codes, or the codebooks' or the images' size is unknown.
        """
        codes = measured.rows(CODES)
        if measured.codebook_sizes is None or measured.size is None or not len(codes):
            raise DataError(f"{self.title} needs codes, the sizes of their codebooks and the images' size.")
        height, width = measured.size
        bits = codes.shape[2] * math.fsum(math.log2(size) for size in measured.codebook_sizes)
        return Result(bits / (height * width), params={"bits_per_image": bits})
