"""Improved precision and recall (Kynkaanniemi et al. 2019, arXiv:1904.06991, equations 1 and 2).

A set of images covers the union of balls around its features, each reaching to its `NEIGHBOURS`-th nearest neighbour
in the same set. Precision is the share of produced images that the reference images cover; recall is the share of
reference images that the produced ones cover.

Over Inception's pooled features, as ADM's evaluator and most papers on tokenizers; the authors took VGG16. Deviation
from torch-fidelity: distances in float64, so that a tie may fall the other way.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from jaxtyping import Bool, Float, Float64

from vtbench.errors import DataError
from vtbench.evaluate.metric import Measured, Result, Value
from vtbench.evaluate.metrics.feature_metric import FeatureMetric

NEIGHBOURS = 3
_ROWS = 2048


def covered(
    points: Float[np.ndarray, "num_points dim"], centres: Float[np.ndarray, "num_centres dim"]
) -> Bool[np.ndarray, " num_points"]:
    """Return which points lie in at least one of the balls around `centres`, their surface included.

    Raises:
        DataError: too few centres to have neighbours.
    """
    if len(centres) <= NEIGHBOURS:
        raise DataError(f"Precision and recall need more than {NEIGHBOURS} images on each side, not {len(centres)}.")
    origin = centres.mean(axis=0, dtype=np.float64)  # digits are lost where the mean is large against the distances
    balls, x = centres.astype(np.float64) - origin, points.astype(np.float64) - origin
    radii = np.concatenate(
        # the nearest is the centre itself
        [np.partition(part, NEIGHBOURS, axis=1)[:, NEIGHBOURS] for part in _squared_distances(balls, balls)]
    )
    return np.concatenate([(part <= radii).any(axis=1) for part in _squared_distances(x, balls)])


def _squared_distances(
    x: Float64[np.ndarray, "num_x dim"], y: Float64[np.ndarray, "num_y dim"]
) -> Iterator[Float64[np.ndarray, "rows num_y"]]:
    """Yield squared distances, some rows at a time."""
    norms = (y * y).sum(axis=1)
    for start in range(0, len(x), _ROWS):
        rows = x[start : start + _ROWS]
        yield (rows * rows).sum(axis=1, keepdims=True) + norms - 2 * rows @ y.T


class Precision(FeatureMetric):
    """Share of produced images that lie where reference images are, over Inception-v3."""

    of_generations = True
    name = "precision"
    title = "Precision"
    network = "inception"
    higher_is_better = True
    min_samples = 10_000
    source = "Kynkaanniemi et al. 2019, eq. 2, k = 3, over 2048 features of Inception-v3; as torch-fidelity"
    value_range = (0.0, 1.0)
    equation = r"|\{\hat x : \exists x,\ \|\hat\phi - \phi\| \le \mathrm{NN}_k(\phi)\}| / |\hat X|"

    @classmethod
    def protocol(cls) -> dict[str, Value]:
        """Return the network and how far a ball reaches."""
        return super().protocol() | {"neighbours": NEIGHBOURS}

    def compute(self, measured: Measured) -> Result:
        """Return the share.

        Raises:
            DataError: too few images.
        """
        inside = covered(measured.rows(self.produced()), measured.rows(self.reference()))
        return Result(float(inside.mean()))


class Recall(Precision):
    """Share of reference images that lie where produced images are, over Inception-v3."""

    name = "recall"
    title = "Recall"
    equation = r"|\{x : \exists \hat x,\ \|\phi - \hat\phi\| \le \mathrm{NN}_k(\hat\phi)\}| / |X|"

    def compute(self, measured: Measured) -> Result:
        """Return the share.

        Raises:
            DataError: too few images.
        """
        inside = covered(measured.rows(self.reference()), measured.rows(self.produced()))
        return Result(float(inside.mean()))


class PrecisionEffnet(Precision):
    """Precision over EfficientNet-Lite0: needs no download."""

    name = "precision_effnet"
    title = "Precision (EfficientNet-Lite0)"
    network = "effnet_lite0"
    source = "Kynkaanniemi et al. 2019, eq. 2, k = 3, over 1280 features of EfficientNet-Lite0; as torch-fidelity"


class RecallEffnet(Recall):
    """Recall over EfficientNet-Lite0: needs no download."""

    name = "recall_effnet"
    title = "Recall (EfficientNet-Lite0)"
    network = "effnet_lite0"
    source = "Kynkaanniemi et al. 2019, eq. 2, k = 3, over 1280 features of EfficientNet-Lite0; as torch-fidelity"
