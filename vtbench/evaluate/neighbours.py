"""Nearest neighbours among the rows of features, exact, some rows at a time.

NumPy alone, in float64: |x - y|^2 = |x|^2 + |y|^2 - 2 x y loses digits where the features' mean is large against their
distances, so both sides are taken about the mean of one.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float, Float64, Int64

from vtbench.errors import DataError

_ROWS = 1024


class Neighbours(NamedTuple):
    """Of each row: position of the nearest row of the other side, and the distance to it."""

    position: Int64[np.ndarray, " num"]
    distance: Float64[np.ndarray, " num"]


def nearest(rows: Float[np.ndarray, "num dim"], others: Float[np.ndarray, "num_others dim"]) -> Neighbours:
    """Return the nearest of `others` to each of `rows`, by the Euclidean distance; of several the first.

    Raises:
        DataError: there are no others.
    """
    if not len(others):
        raise DataError("There is no image to be the nearest neighbour.")
    origin = others.mean(axis=0, dtype=np.float64)
    centres = others.astype(np.float64) - origin
    norms = np.square(centres).sum(axis=1)
    index, squares = [], []
    for start in range(0, len(rows), _ROWS):
        part = rows[start : start + _ROWS].astype(np.float64) - origin
        found = norms - 2 * part @ centres.T  # the part's own squares change no order
        closest = found.argmin(axis=1)
        index.append(closest)
        squares.append(np.square(part - centres[closest]).sum(axis=1))
    if not index:
        return Neighbours(np.empty(0, np.int64), np.empty(0))
    return Neighbours(np.concatenate(index), np.sqrt(np.concatenate(squares)))
