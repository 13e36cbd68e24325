"""The Frechet distance between two Gaussians, and the means and covariances that it takes.

Heusel et al. 2017 (arXiv:1706.08500), equation 6: |m1 - m2|^2 + tr(C1 + C2 - 2 (C1 C2)^(1/2)). The trace of the root is
taken from symmetric matrices alone: with C1 = R R^T, the eigenvalues of C1 C2 are those of R^T C2 R. Where there are
fewer images than features, a covariance is X^T X for a small X and the trace is the sum of the singular values of
X1 X2^T: exact, and without the large matrices.

NumPy alone: reports use it too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64

from vtbench.errors import DataError

_BLOCK = 1024
"""Rows that are brought to float64 at once."""


class Statistics(NamedTuple):
    """Number of rows, their mean, and their covariance (divided by n - 1), float64."""

    n: int
    mean: Float64[np.ndarray, " dim"]
    covariance: Float64[np.ndarray, "dim dim"]


@dataclass(frozen=True)
class Sums:
    """What can be added up over parts of a set, and taken away again: count, sum, and sum of outer products.

    The sums are float64 and taken about `origin`, which costs nothing and keeps digits where the mean is large against
    the spread.
    """

    n: int
    total: Float64[np.ndarray, " dim"]
    products: Float64[np.ndarray, "dim dim"]
    origin: Float64[np.ndarray, " dim"]

    @staticmethod
    def of(rows: Float[np.ndarray, "n dim"], origin: Float64[np.ndarray, " dim"] | None = None) -> Sums:
        """Return the sums of `rows`; `origin` is zero if not given, and must be the same in all that are added."""
        dim = rows.shape[1]
        start = np.zeros(dim) if origin is None else origin
        total, products = np.zeros(dim), np.zeros((dim, dim))
        for first in range(0, len(rows), _BLOCK):
            block = rows[first : first + _BLOCK].astype(np.float64) - start
            total += block.sum(axis=0)
            products += block.T @ block
        return Sums(len(rows), total, products, start)

    def __add__(self, other: Sums) -> Sums:
        self._check(other)
        return Sums(self.n + other.n, self.total + other.total, self.products + other.products, self.origin)

    def __sub__(self, other: Sums) -> Sums:
        self._check(other)
        return Sums(self.n - other.n, self.total - other.total, self.products - other.products, self.origin)

    def _check(self, other: Sums) -> None:
        if not np.array_equal(self.origin, other.origin):
            raise ValueError("these sums were taken about different origins")

    def statistics(self) -> Statistics:
        """Return mean and covariance.

        Raises:
            DataError: of fewer than two rows.
        """
        if self.n < 2:
            raise DataError(f"A covariance needs at least 2 images; there {'is' if self.n == 1 else 'are'} {self.n}.")
        mean = self.total / self.n
        # in place: with features by the thousand each matrix more costs as much as a product
        covariance = np.outer(mean, mean)
        covariance *= -self.n
        covariance += self.products
        covariance /= self.n - 1
        return Statistics(self.n, self.origin + mean, covariance)


def statistics(rows: Float[np.ndarray, "n dim"]) -> Statistics:
    """Return number, mean and covariance of `rows`, in float64 and in blocks: `rows` may be memory-mapped.

    Raises:
        DataError: of fewer than two rows.
    """
    origin = rows[:_BLOCK].astype(np.float64).mean(axis=0) if len(rows) else None
    return Sums.of(rows, origin).statistics()


def root(covariance: Float64[np.ndarray, "dim dim"]) -> Float64[np.ndarray, "dim rank"]:
    """Return R with R R^T = covariance, with as many columns as its rank.

    By Cholesky, ten times faster, where that exists; else as many as there are eigenvalues above rounding.
    """
    try:
        triangle: np.ndarray = np.linalg.cholesky(covariance)
    except np.linalg.LinAlgError:
        pass
    else:
        return triangle
    values, vectors = np.linalg.eigh(covariance)
    kept = values > max(values[-1], 0.0) * len(values) * np.finfo(np.float64).eps
    factor: np.ndarray = vectors[:, kept] * np.sqrt(values[kept])
    return factor


def frechet(
    mean1: Float64[np.ndarray, " dim"],
    covariance1: Float64[np.ndarray, "dim dim"],
    mean2: Float64[np.ndarray, " dim"],
    covariance2: Float64[np.ndarray, "dim dim"],
    root1: Float64[np.ndarray, "dim rank"] | None = None,
) -> float:
    """Return the Frechet distance between two Gaussians, in squared units of the features.

    `root1` is `root(covariance1)`, for callers that compare one set with many.
    """
    factor = root(covariance1) if root1 is None else root1
    if not factor.shape[1]:
        cross = 0.0
    else:
        values = np.linalg.eigvalsh(factor.T @ covariance2 @ factor)
        # none can be negative but by rounding; small ones count, as their roots are not small
        cross = float(np.sqrt(np.maximum(values, 0.0)).sum())
    difference = mean1 - mean2
    return float(difference @ difference + np.trace(covariance1) + np.trace(covariance2) - 2 * cross)


def frechet_of_rows(first: Float[np.ndarray, "num_first dim"], second: Float[np.ndarray, "num_second dim"]) -> float:
    """Return the Frechet distance between two sets of features by the cheaper of the two ways.

    Raises:
        DataError: a set has fewer than two rows.
    """
    if len(first) < first.shape[1] and len(second) < second.shape[1]:
        return _of_few(first, second)
    one, two = statistics(first), statistics(second)
    return frechet(one.mean, one.covariance, two.mean, two.covariance)


def frechet_by_count(
    reference: Statistics,
    rows: Float[np.ndarray, "n dim"],
    counts: Sequence[int],
    reference_root: Float64[np.ndarray, "dim rank"] | None = None,
) -> Float64[np.ndarray, " counts"]:
    """Return the Frechet distance between a reference and the first so many of `rows`, for each of `counts`.

    The rows are turned once by the root of the reference's covariance, C1 = R R^T; then each covariance of X R is the
    matrix R^T C2 R whose eigenvalues are wanted, and its sums go on from one count to the next.

    Args:
        reference: the fixed side.
        rows: features of the other side.
        counts: ascending, each at least 2 and at most `n`.
        reference_root: `root(reference.covariance)`, if it is known.
    """
    factor = root(reference.covariance) if reference_root is None else reference_root
    plain, turned = np.asarray(rows, np.float64) - reference.mean, np.empty((len(rows), factor.shape[1]))
    np.matmul(plain, factor, out=turned)
    total_of_covariance = np.trace(reference.covariance)
    squares = np.cumsum(np.square(plain).sum(axis=1))
    sums = Sums.of(turned[:0])
    distances = []
    for count in counts:
        sums = sums + Sums.of(turned[sums.n : count])
        mean = plain[:count].mean(axis=0)
        variance = (squares[count - 1] - count * (mean @ mean)) / (count - 1)
        distances.append(mean @ mean + total_of_covariance + variance - 2 * _cross(turned, sums))
    return np.array(distances)


def _cross(turned: Float64[np.ndarray, "n rank"], sums: Sums) -> float:
    """Return the trace of the root of the covariance of the first `sums.n` rows, from the smaller of two matrices."""
    if sums.n < turned.shape[1]:
        part = turned[: sums.n] - sums.total / sums.n
        values = np.linalg.eigvalsh(part @ part.T / (sums.n - 1))
    else:
        values = np.linalg.eigvalsh(sums.statistics().covariance)
    return float(np.sqrt(np.maximum(values, 0.0)).sum())


def _of_few(first: Float[np.ndarray, "num_first dim"], second: Float[np.ndarray, "num_second dim"]) -> float:
    if min(len(first), len(second)) < 2:
        raise DataError(f"A covariance needs at least 2 images; there are {len(first)} and {len(second)}.")
    means, factors = [], []
    for rows in (first, second):
        wide = rows.astype(np.float64)
        mean = wide.mean(axis=0)
        means.append(mean)
        factors.append((wide - mean) / np.sqrt(len(rows) - 1))
    cross = float(np.linalg.svd(factors[0] @ factors[1].T, compute_uv=False).sum())
    difference = means[0] - means[1]
    traces = sum(float(np.square(factor).sum()) for factor in factors)
    return float(difference @ difference) + traces - 2 * cross
