"""The Frechet distance that infinitely many produced images would have.

Chong & Forsyth 2020 (arXiv:1911.07023): the distance of N images exceeds its limit by a term that goes as 1/N and
depends on the model, so models compared at the same N can change places. The distance is taken at 15 sizes, evenly
spaced from a tenth of the images to all, and the value is the intercept of the line through them over 1/N.

The reference's statistics stay fixed, as in the authors' code. Deviations: subsets are the beginnings of one fixed
permutation (theirs, too, is one shuffle), and the smallest is a tenth of the images where theirs is 5,000: the same at
their 50,000. The line is exact only where even the smallest subset has more images than there are features.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float, Float64

from vtbench.errors import DataError
from vtbench.evaluate.frechet_distance import Statistics, frechet_by_count
from vtbench.evaluate.metric import Measured, Result, Value
from vtbench.evaluate.metrics.feature_metric import FeatureMetric
from vtbench.seeding import rng

SIZES = 15
SMALLEST_SHARE = 0.1
MIN_IMAGES = 10 * SIZES


def frechet_by_size(
    produced: Float[np.ndarray, "num dim"],
    reference: Statistics,
    reference_root: Float64[np.ndarray, "dim rank"] | None = None,
) -> tuple[Float64[np.ndarray, " sizes"], Float64[np.ndarray, " sizes"]]:
    """Return numbers of images and the Frechet distance of the first so many of a fixed permutation.

    Raises:
        DataError: fewer than `MIN_IMAGES` images.
    """
    num = len(produced)
    if num < MIN_IMAGES:
        raise DataError(f"The limit of a Frechet distance needs at least {MIN_IMAGES} images, not {num}.")
    order = rng(0, "fid_infinity").permutation(num)
    sizes = np.linspace(SMALLEST_SHARE * num, num, SIZES).astype(int)
    distances = frechet_by_count(reference, produced[order], sizes.tolist(), reference_root)
    return sizes.astype(np.float64), distances


class FidInfinity(FeatureMetric):
    """Limit of the reconstructions' Frechet Inception distance."""

    name = "fid_infinity"
    title = "FID-infinity"
    network = "inception"
    higher_is_better = False
    min_samples = 20_480  # a tenth of them still has more images than there are features
    source = "Chong & Forsyth 2020: intercept over 1/N of 15 distances, over 2048 features of Inception-v3"
    value_range = (-math.inf, math.inf)
    equation = r"\lim_{N \to \infty} d_N, \quad d_N \approx d_\infty + b / N"

    @classmethod
    def protocol(cls) -> dict[str, Value]:
        """Return the network and at which sizes the distance is taken."""
        return super().protocol() | {"sizes": SIZES, "smallest_share": SMALLEST_SHARE}

    def compute(self, measured: Measured) -> Result:
        """Return the intercept; `params` hold the slope (distance times images) and the fit's r squared.

        Raises:
            DataError: too few images.
        """
        reference, root = measured.statistics(self.reference()), measured.root(self.reference())
        sizes, distances = frechet_by_size(measured.rows(self.produced()), reference, root)
        slope, intercept = np.polyfit(1 / sizes, distances, 1)
        residual = distances - intercept - slope / sizes
        spread = np.square(distances - distances.mean()).sum()
        explained = 1 - float(np.square(residual).sum() / spread) if spread > 0 else 1.0
        return Result(float(intercept), params={"slope": float(slope), "r_squared": explained})


class FdInfinityEffnet(FidInfinity):
    """Limit of the Frechet distance over EfficientNet-Lite0: needs no download, and is not an FID."""

    name = "fd_infinity_effnet"
    title = "FD-infinity (EfficientNet-Lite0)"
    network = "effnet_lite0"
    min_samples = 12_800
    source = "Chong & Forsyth 2020: intercept over 1/N of 15 distances, over 1280 features of EfficientNet-Lite0"
