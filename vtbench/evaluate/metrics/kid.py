"""Kernel distance: the unbiased squared maximum mean discrepancy between two sets of features.

Binkowski et al. 2018 (arXiv:1801.01401), section 3: with the kernel k(x, y) = (x.y / dim + 1)^3, the mean over random
subsets of equal size m of

    sum_{i != j} k(x_i, x_j) / (m (m - 1)) + sum_{i != j} k(y_i, y_j) / (m (m - 1)) - 2 sum_{ij} k(x_i, y_j) / m^2

Over Inception-v3 it is the KID. Subsets are drawn as torch-fidelity draws them (its seed, produced images first), so
the values are torch-fidelity's. Deviations: float64 throughout; with fewer images than a subset holds, a subset is all
of them, where torch-fidelity refuses.
"""

from __future__ import annotations

import math

import numpy as np
from jaxtyping import Float, Float64, Int

from vtbench.errors import DataError
from vtbench.evaluate.metric import Measured, Result, Value
from vtbench.evaluate.metrics.feature_metric import FeatureMetric

SUBSETS = 100
SUBSET_SIZE = 1000
SEED = 2020
_ROWS = 1024


def kernel_distances(
    produced: Float[np.ndarray, "num_produced dim"], reference: Float[np.ndarray, "num_reference dim"]
) -> Float64[np.ndarray, " subsets"]:
    """Return the unbiased squared discrepancy of each of `SUBSETS` random subsets.

    Raises:
        DataError: fewer than two images on a side.
    """
    x, y = produced.astype(np.float64), reference.astype(np.float64)
    size = min(SUBSET_SIZE, len(x), len(y))
    if size < 2:
        raise DataError(f"A kernel distance needs at least 2 images on each side, not {len(x)} and {len(y)}.")
    draw = np.random.RandomState(SEED)
    chosen = [[draw.choice(len(each), size, replace=False) for each in (x, y)] for _ in range(SUBSETS)]
    in_x, in_y = (np.stack(side) for side in zip(*chosen, strict=True))
    within = sum(
        _sums(each, picks, each, picks) - _kernel_of_self(each)[picks].sum(axis=1)
        for each, picks in ((x, in_x), (y, in_y))
    )
    return within / (size * (size - 1)) - 2 * _sums(x, in_x, y, in_y) / size**2


def _sums(
    x: Float64[np.ndarray, "num_x dim"],
    in_x: Int[np.ndarray, "subsets size"],
    y: Float64[np.ndarray, "num_y dim"],
    in_y: Int[np.ndarray, "subsets size"],
) -> Float64[np.ndarray, " subsets"]:
    """Return the sum of the kernel over the pairs of each subset."""
    if len(x) * len(y) > in_x.size * in_y.shape[1]:  # many images: the subsets' own kernels are fewer than all
        return np.array([_kernel(x[i], y[j]).sum() for i, j in zip(in_x, in_y, strict=True)])
    picked_x, picked_y = (_indicator(picks, len(each)) for picks, each in ((in_x, x), (in_y, y)))
    total = np.zeros(len(in_x))
    for start in range(0, len(x), _ROWS):
        rows = slice(start, start + _ROWS)
        total += ((_kernel(x[rows], y) @ picked_y) * picked_x[rows]).sum(axis=0)
    return total


def _indicator(picks: Int[np.ndarray, "subsets size"], num: int) -> Float64[np.ndarray, "num subsets"]:
    """Return 1 where an image is in a subset, else 0."""
    indicator = np.zeros((num, len(picks)))
    np.put_along_axis(indicator, picks.T, 1.0, axis=0)
    return indicator


def _kernel(
    x: Float64[np.ndarray, "num_x dim"], y: Float64[np.ndarray, "num_y dim"]
) -> Float64[np.ndarray, "num_x num_y"]:
    kernel: np.ndarray = x @ y.T / x.shape[1] + 1
    return kernel * kernel * kernel


def _kernel_of_self(x: Float64[np.ndarray, "num dim"]) -> Float64[np.ndarray, " num"]:
    return ((x * x).sum(axis=1) / x.shape[1] + 1) ** 3


class KernelDistance(FeatureMetric):
    """Mean kernel distance over random subsets; subclasses name the network."""

    higher_is_better = False
    min_samples = SUBSET_SIZE
    value_range = (-math.inf, math.inf)
    equation = r"\mathrm{MMD}_u^2(X, Y), \quad k(x, y) = (x^\top y / d + 1)^3"

    @classmethod
    def protocol(cls) -> dict[str, Value]:
        """Return the network and how subsets are drawn."""
        return super().protocol() | {"subsets": SUBSETS, "subset_size": SUBSET_SIZE, "seed": SEED}

    def compute(self, measured: Measured) -> Result:
        """Return the mean over subsets; `params` hold their standard deviation, which is no standard error.

        Raises:
            DataError: fewer than two images.
        """
        values = kernel_distances(measured.rows(self.produced()), measured.rows(self.reference()))
        return Result(float(values.mean()), params={"subset_std": float(values.std())})


class Rkid(KernelDistance):
    """Kernel Inception distance of reconstructions."""

    name = "rkid"
    title = "rKID"
    network = "inception"
    source = "Binkowski et al. 2018, section 3, over 2048 features of Inception-v3; as torch-fidelity"


class RkidEffnet(KernelDistance):
    """Kernel distance over EfficientNet-Lite0: needs no download, and is not a KID."""

    name = "rkid_effnet"
    title = "rKD (EfficientNet-Lite0)"
    network = "effnet_lite0"
    source = "Binkowski et al. 2018, section 3, over 1280 features of EfficientNet-Lite0; as torch-fidelity"
