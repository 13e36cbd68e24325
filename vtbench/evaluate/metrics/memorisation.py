"""Whether generated images are nearer to training images than images are that nobody has trained on.

Meehan, Chaudhuri and Dasgupta (2020, arXiv:2004.05675) compare the distance of a sample to its nearest training image
with that of a held-out image to its own: with d the distances in EfficientNet-Lite0's pooled features,

    value = P(d(sample) < d(held-out image)), ties counting half

which is 1/2 where samples are as near as unseen real images, towards 1 where training images are repeated, and towards
0 where samples are unlike any of them: bad samples are no memories. Their test statistic is the Mann-Whitney U whose
normalised form this is. Deviation: one cell for all images instead of one for each cluster of a k-means, in which a toy
data set would leave few.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64

from vtbench.evaluate.metric import Measured, Result
from vtbench.evaluate.metrics.feature_metric import FeatureMetric
from vtbench.evaluate.neighbours import nearest
from vtbench.evaluate.statistics import block_jackknife, without_each_block

MOST_REFERENCES = 50_000
"""Reference images among which the nearest is looked for: the first ones."""


class Memorisation(FeatureMetric):
    """Share of pairs (sample, held-out image) in which the sample is nearer to its nearest reference image.

    Args:
        held_out: features of images that are neither produced nor reference, in any order.
    """

    name = "memorisation"
    title = "Nearer to training than unseen images"
    network = "effnet_lite0"
    higher_is_better = False
    min_samples = 200
    source = "Meehan et al. 2020, section 2: Mann-Whitney U of nearest-neighbour distances, EfficientNet-Lite0 features"
    value_range = (0.0, 1.0)
    equation = r"P(\min_t |\phi(\hat x) - \phi(t)| < \min_t |\phi(v) - \phi(t)|)"

    def __init__(self, held_out: Float[np.ndarray, "num dim"]) -> None:
        self._held_out = held_out

    def compute(self, measured: Measured) -> Result:
        """Return the share, with its interval over samples (the held-out images stay as they are)."""
        reference = np.asarray(measured.rows(self.reference())[:MOST_REFERENCES])
        unseen = np.sort(nearest(self._held_out, reference).distance)
        shares = nearer(nearest(measured.rows(self.produced()), reference).distance, unseen)
        value = float(shares.mean())
        without = without_each_block(shares, lambda rows: float(rows.mean()))
        return Result(value, block_jackknife(value, without).interval if without else None, without_blocks=without)


def nearer(
    distances: Float64[np.ndarray, " num"], ordered: Float64[np.ndarray, " num_others"]
) -> Float64[np.ndarray, " num"]:
    """Return, for each distance, the share of `ordered` (ascending) that it is smaller than; equal ones count half."""
    above = len(ordered) - np.searchsorted(ordered, distances, side="right")
    equal = np.searchsorted(ordered, distances, side="right") - np.searchsorted(ordered, distances, side="left")
    shares: np.ndarray = (above + equal / 2) / len(ordered)
    return shares
