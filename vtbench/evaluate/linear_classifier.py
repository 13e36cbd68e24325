"""A linear classifier on frozen features, fitted the same way every time: multinomial logistic regression.

Minimises, by L-BFGS with a strong-Wolfe line search in float64 from zero weights, the mean cross-entropy plus
`PENALTY` / 2 times the squared weights (the bias is free), over features standardised by the training images' mean and
deviation. The objective is strictly convex in the weights, so the result has no seed.

`cross_fitted_accuracies` fits one classifier a fold, so that no image is judged by a classifier that has seen it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Float64, Int, Int64
from torch import Tensor
from torch.nn import functional as F

from vtbench.errors import DataError
from vtbench.seeding import rng

PENALTY = 1e-2
FOLDS = 5
_MAX_ITERATIONS = 300
_MIN_DEVIATION = 1e-8


class LinearClassifier:
    """A classifier fitted to features and their labels.

    Args:
        features: one row an image; a feature that never varies is left out of the decision.
        labels: class of each image, any integers.
    """

    def __init__(self, features: Float[np.ndarray, "num dim"], labels: Int[np.ndarray, " num"]) -> None:
        self.classes, targets = np.unique(labels, return_inverse=True)
        x = torch.from_numpy(features.astype(np.float64))
        self._mean, deviation = x.mean(dim=0), x.std(dim=0, correction=0)
        self._scale = torch.where(deviation > _MIN_DEVIATION, 1 / deviation.clamp(min=_MIN_DEVIATION), 0.0)
        self._weights, self._bias = _fit(self._standard(features), torch.from_numpy(targets), len(self.classes))

    def predict(self, features: Float[np.ndarray, "num dim"]) -> Int[np.ndarray, " num"]:
        """Return the likeliest class of each row."""
        scores = self._standard(features) @ self._weights + self._bias
        predicted: np.ndarray = self.classes[scores.argmax(dim=1).numpy()]
        return predicted

    def _standard(self, features: Float[np.ndarray, "num dim"]) -> Float64[Tensor, "num dim"]:
        return (torch.from_numpy(features.astype(np.float64)) - self._mean) * self._scale


def cross_fitted_accuracies(
    train: Float[np.ndarray, "num dim"], tests: Sequence[Float[np.ndarray, "num dim"]], labels: Int[np.ndarray, " num"]
) -> list[float]:
    """Return, for each of `tests`, the share of rows that are given their label, in [0, 1].

    Row i is judged by the classifier of its fold, fitted to the rows of `train` outside that fold. Folds are `FOLDS`
    equal parts of a fixed permutation of the images.

    Args:
        train: features that classifiers are fitted to.
        tests: features that are judged, row by row beside `train`; `train` itself for an ordinary cross-validation.
        labels: class of each row of all.

    Raises:
        DataError: fewer images than folds, or all of one class.
    """
    num, num_classes = len(labels), len(np.unique(labels))
    if num < FOLDS or num_classes < 2:
        raise DataError(
            f"A linear classifier needs at least {FOLDS} images of at least 2 classes, not {num} of {num_classes}."
        )
    correct = np.zeros((len(tests), num), dtype=bool)
    for fold in folds(num):
        others = np.setdiff1d(np.arange(num), fold)
        classifier = LinearClassifier(train[others], labels[others])
        for row, test in zip(correct, tests, strict=True):
            row[fold] = classifier.predict(test[fold]) == labels[fold]
    return [float(share) for share in correct.mean(axis=1)]


def folds(num: int) -> list[Int64[np.ndarray, " size"]]:
    """Return the images of each fold: parts of a fixed permutation of `num` images."""
    return [np.sort(part) for part in np.array_split(rng(0, "linear_classifier").permutation(num), FOLDS)]


def _fit(
    x: Float64[Tensor, "num dim"], targets: Int64[Tensor, " num"], num_classes: int
) -> tuple[Float64[Tensor, "dim classes"], Float64[Tensor, " classes"]]:
    weights = torch.zeros(x.shape[1], num_classes, dtype=torch.float64, requires_grad=True)
    bias = torch.zeros(num_classes, dtype=torch.float64, requires_grad=True)
    optimiser = torch.optim.LBFGS(
        [weights, bias],
        max_iter=_MAX_ITERATIONS,
        history_size=10,
        tolerance_grad=1e-7,
        tolerance_change=1e-12,
        line_search_fn="strong_wolfe",
    )

    def objective() -> Tensor:
        optimiser.zero_grad()
        loss = F.cross_entropy(x @ weights + bias, targets) + PENALTY / 2 * weights.square().sum()
        loss.backward()
        return loss

    with torch.enable_grad():
        optimiser.step(objective)
    return weights.detach(), bias.detach()
