"""Frechet distance between the features of reference and produced images.

Heusel et al. 2017 (arXiv:1706.08500), equation 6; `vtbench.evaluate.frechet_distance` computes it. Over Inception-v3
and reconstructions it is the reconstruction FID (`rfid`); over other features it is another number with another name.
Of generated images it is the same number under the name `gfid`, so that no table puts the two into one column.

Its interval is a block jackknife's over images; where the sets are pairs, original and reconstruction are left out
together, otherwise the references stay as they are.

Deviation: torch-fidelity takes the means of float32 features in float32; here the statistics are float64 throughout.
"""

from __future__ import annotations

import math

import numpy as np

from vtbench.errors import DataError
from vtbench.evaluate.frechet_distance import frechet, frechet_of_rows
from vtbench.evaluate.frechet_jackknife import (
    frechet_of_few_without,
    frechet_without_of_few,
    frechet_without_of_many,
)
from vtbench.evaluate.metric import Measured, Result
from vtbench.evaluate.metrics.feature_metric import FeatureMetric
from vtbench.evaluate.statistics import block_jackknife, blocks

FEWEST_FOR_INTERVAL = 3
"""With more images than this, each part of them that a block leaves is a set with a covariance."""


class FrechetDistance(FeatureMetric):
    """A Frechet distance over the feature network named `network`; subclasses name it."""

    higher_is_better = False
    min_samples = 2048  # with fewer, the covariance of 2048 features cannot have full rank
    value_range = (0.0, math.inf)
    equation = r"|\mu_1 - \mu_2|^2 + \mathrm{tr}(\Sigma_1 + \Sigma_2 - 2 (\Sigma_1 \Sigma_2)^{1/2})"

    def compute(self, measured: Measured) -> Result:
        """Return the distance between both sides' features, with its interval.

        Raises:
            DataError: a side has fewer than two images, which have no covariance.
        """
        rows, of_reference = measured.rows(self.produced()), measured.rows(self.reference())
        if len(rows) < 2:
            raise DataError(f"{self.title} needs at least 2 images; {len(rows)} were measured.")
        paired = measured.paired and len(rows) == len(of_reference)
        parts = blocks(len(rows)) if len(rows) > FEWEST_FOR_INTERVAL else []
        if max(len(rows), len(of_reference)) < rows.shape[1]:
            value = frechet_of_rows(of_reference, rows)
            without = frechet_without_of_few(of_reference, rows, parts, paired=paired)
        elif not paired and len(rows) < rows.shape[1]:
            nothing = np.empty(0, np.int64)
            value, *without = frechet_of_few_without(measured.statistics(self.reference()), rows, [nothing, *parts])
        else:
            one, two = measured.statistics(self.reference()), measured.statistics(self.produced())
            value = frechet(one.mean, one.covariance, two.mean, two.covariance, measured.root(self.reference()))
            without = frechet_without_of_many(one, two, (of_reference if paired else None, rows), parts)
        interval = block_jackknife(value, without).interval if without else None
        return Result(max(0.0, value), interval, without_blocks=tuple(without))


class RfdEffnet(FrechetDistance):
    """Frechet distance over EfficientNet-Lite0: needs no download, and is not an FID."""

    name = "rfd_effnet"
    title = "rFD (EfficientNet-Lite0)"
    network = "effnet_lite0"
    source = "Heusel et al. 2017, eq. 6, over 1280 features of EfficientNet-Lite0; torch-fidelity"


class Rfid(FrechetDistance):
    """Frechet Inception distance of reconstructions."""

    name = "rfid"
    title = "rFID"
    network = "inception"
    source = "Heusel et al. 2017, eq. 6, over 2048 features of Inception-v3; torch-fidelity"


class GfdEffnet(FrechetDistance):
    """Frechet distance of generated images over EfficientNet-Lite0: needs no download, and is not an FID."""

    of_reconstructions = False
    of_generations = True
    name = "gfd_effnet"
    title = "gFD (EfficientNet-Lite0)"
    network = "effnet_lite0"
    source = "Heusel et al. 2017, eq. 6, over 1280 features of EfficientNet-Lite0; torch-fidelity"


class Gfid(FrechetDistance):
    """Frechet Inception distance of generated images."""

    of_reconstructions = False
    of_generations = True
    name = "gfid"
    title = "gFID"
    network = "inception"
    source = "Heusel et al. 2017, eq. 6, over 2048 features of Inception-v3; torch-fidelity"
