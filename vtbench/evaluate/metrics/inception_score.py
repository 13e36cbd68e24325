"""Inception Score of the produced images (Salimans et al. 2016, arXiv:1606.03498, section 4).

exp of the mean Kullback-Leibler divergence between an image's class probabilities and those of all images, from the
logits of Inception-v3 without their bias, as the original code takes them. With splits it is the mean over ten parts of
the images, shuffled as torch-fidelity shuffles them; without, it is taken once over all images, as the TiTok family
reports it. The two differ: a part of few images cannot show many classes. Neither looks at the reference images.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from jaxtyping import Float
from scipy.special import log_softmax

from vtbench.errors import DataError
from vtbench.evaluate.metric import Measured, Quantity, Result, Value
from vtbench.evaluate.metrics.feature_metric import FeatureMetric

SEED = 2020


def inception_scores(logits: Float[np.ndarray, "num classes"], splits: int) -> list[float]:
    """Return the score of each of `splits` parts of the shuffled images, each at least 1.

    Raises:
        DataError: fewer images than parts.
    """
    num = len(logits)
    if num < splits:
        raise DataError(f"An Inception Score over {splits} splits needs at least as many images, not {num}.")
    shuffled = logits[np.random.RandomState(SEED).permutation(num)].astype(np.float64)
    scores = []
    for part in range(splits):
        log_p = log_softmax(shuffled[part * num // splits : (part + 1) * num // splits], axis=1)
        p = np.exp(log_p)
        divergence = (p * (log_p - np.log(p.mean(axis=0)))).sum(axis=1)
        scores.append(float(np.exp(divergence.mean())))
    return scores


class InceptionScore(FeatureMetric):
    """Mean Inception Score of ten parts of the produced images."""

    of_generations = True
    name = "inception_score"
    title = "IS"
    network = "inception"
    layer = "logits"
    splits: ClassVar[int] = 10
    higher_is_better = True
    min_samples = 5000
    source = "Salimans et al. 2016, section 4; Inception-v3 logits without bias, 10 shuffled splits; as torch-fidelity"
    value_range = (1.0, 1008.0)
    equation = r"\exp \mathrm{E}_x\, \mathrm{KL}(p(y \mid x) \,\|\, p(y))"

    @classmethod
    def protocol(cls) -> dict[str, Value]:
        """Return the network and how images are split."""
        return super().protocol() | {"splits": cls.splits, "seed": SEED}

    def quantities(self) -> tuple[Quantity, ...]:
        """Return the logits of the produced images."""
        return (self.produced(),)

    def compute(self, measured: Measured) -> Result:
        """Return the mean over the splits; `params` hold their standard deviation.

        Raises:
            DataError: fewer images than splits.
        """
        scores = inception_scores(measured.rows(self.produced()), self.splits)
        return Result(float(np.mean(scores)), params={"split_std": float(np.std(scores))})


class InceptionScoreUnsplit(InceptionScore):
    """Inception Score of all produced images at once."""

    name = "inception_score_unsplit"
    title = "IS (no splits)"
    splits = 1
    source = "Salimans et al. 2016, section 4; Inception-v3 logits without bias, over all images at once"
