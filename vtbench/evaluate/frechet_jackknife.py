"""The Frechet distance without each block of images in turn, for its standard error (`statistics.block_jackknife`).

A value without a block is not computed anew from all that is left: with more images than features the block's sums are
taken away from the set's; with fewer, the products of all pairs of images are taken once and their parts are centred.
Where only the produced images are few (samples of a generator against a training split), their products are those under
the reference's covariance.

Parts are worked off side by side, each on one thread: BLAS's own threads gain little on an eigenvalue problem of this
size. No torch: reports use it too.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from jaxtyping import Float, Float64, Int
from threadpoolctl import ThreadpoolController

from vtbench.evaluate.frechet_distance import Statistics, Sums, frechet, root

Rows = Float[np.ndarray, "_ dim"]
Positions = Int[np.ndarray, " _"]


def frechet_without_of_many(
    reference: Statistics, produced: Statistics, rows: tuple[Rows | None, Rows], parts: Sequence[Positions]
) -> list[float]:
    """Return the distance without each part, from both sides' statistics.

    Args:
        reference: of all reference images.
        produced: of all produced images.
        rows: features of both sides, of which a part's are taken away; None for a reference that stays as it is,
            because its images are not the produced ones' originals.
        parts: positions of the images to leave out.
    """
    fixed = None if rows[0] is not None else root(reference.covariance)

    def distance(part: Positions) -> float:
        one = reference if rows[0] is None else _without(reference, rows[0][part])
        two = _without(produced, rows[1][part])
        return max(0.0, frechet(one.mean, one.covariance, two.mean, two.covariance, fixed))

    return _side_by_side(distance, parts)


def frechet_without_of_few(reference: Rows, produced: Rows, parts: Sequence[Positions], *, paired: bool) -> list[float]:
    """Return the distance without each part, where both sides have fewer images than features.

    Args:
        reference: features of the reference images.
        produced: features of the produced images.
        parts: positions of the images to leave out; at least two must be left.
        paired: whether the i-th produced image answers the i-th reference image, which is then left out with it.
    """
    one, two = _Side(reference), _Side(produced)
    products = one.centred @ two.centred.T
    everything = np.arange(len(reference))

    def distance(part: Positions) -> float:
        in_two = np.setdiff1d(np.arange(len(produced)), part)
        in_one = in_two if paired else everything
        block = products[np.ix_(in_one, in_two)]
        block = block - block.mean(axis=0) - block.mean(axis=1, keepdims=True) + block.mean()
        small = block @ block.T if len(in_one) <= len(in_two) else block.T @ block
        roots = np.sqrt(np.maximum(np.linalg.eigvalsh(small), 0.0))
        cross = float(roots.sum()) / np.sqrt((len(in_one) - 1) * (len(in_two) - 1))
        (mean1, trace1), (mean2, trace2) = one.part(in_one), two.part(in_two)
        difference = mean1 - mean2
        return max(0.0, float(difference @ difference) + trace1 + trace2 - 2 * cross)

    return _side_by_side(distance, parts)


def frechet_of_few_without(reference: Statistics, produced: Rows, parts: Sequence[Positions]) -> list[float]:
    """Return the distance of few produced images from a reference that stays as it is, without each part.

    With C1 = R R^T and the rows turned, X R, the eigenvalues wanted are those of a product of turned rows, which has as
    many rows as there are images instead of features.

    Args:
        reference: of all reference images, however many.
        produced: features of the produced images, fewer than features.
        parts: positions of the images to leave out, perhaps none; at least two must be left.
    """
    rows = produced.astype(np.float64) - reference.mean
    turned = rows @ root(reference.covariance)
    products, squares = turned @ turned.T, np.square(rows).sum(axis=1)
    trace = float(np.trace(reference.covariance))

    def distance(part: Positions) -> float:
        kept = np.setdiff1d(np.arange(len(rows)), part)
        num, mean = len(kept), rows[kept].mean(axis=0)
        block = products[np.ix_(kept, kept)]
        block = block - block.mean(axis=0) - block.mean(axis=1, keepdims=True) + block.mean()
        cross = float(np.sqrt(np.maximum(np.linalg.eigvalsh(block / (num - 1)), 0.0)).sum())
        difference = float(mean @ mean)
        own_trace = (float(squares[kept].sum()) - num * difference) / (num - 1)
        return max(0.0, difference + trace + own_trace - 2 * cross)

    return _side_by_side(distance, parts)


class _Side:
    """One side's rows about their mean, in float64."""

    def __init__(self, rows: Rows) -> None:
        wide = rows.astype(np.float64)
        self._mean = wide.mean(axis=0)
        self.centred = wide - self._mean
        self._squares = np.square(self.centred).sum(axis=1)

    def part(self, positions: Positions) -> tuple[Float64[np.ndarray, " dim"], float]:
        """Return the mean of some rows and the trace of their covariance."""
        num = len(positions)
        shift = self.centred[positions].mean(axis=0)
        return self._mean + shift, float(self._squares[positions].sum() - num * (shift @ shift)) / (num - 1)


def _without(whole: Statistics, rows: Rows) -> Statistics:
    """Return the statistics of a set without some of its rows."""
    about_mean = Sums(whole.n, np.zeros_like(whole.mean), (whole.n - 1) * whole.covariance, whole.mean)
    return (about_mean - Sums.of(rows, whole.mean)).statistics()


def _side_by_side(distance: Callable[[Positions], float], parts: Sequence[Positions]) -> list[float]:
    """Return the distance without each part, as many at once as BLAS has threads."""
    blas = ThreadpoolController().select(user_api="blas")
    num_threads = max((library["num_threads"] for library in blas.info()), default=1)
    with blas.limit(limits=1), ThreadPoolExecutor(num_threads) as threads:
        return list(threads.map(distance, parts))
