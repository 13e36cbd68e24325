"""Whether produced images show their class, as a frozen classifier sees it: top-1 accuracy.

`classifier_top1` asks EfficientNet-Lite0's own ImageNet classifier; labels must be ImageNet's 0 ... 999 in the usual
order of synsets. The classifier itself errs on about a quarter of real images, which bounds the value.

`classifier_top1_fitted` is for images with other labels: a linear classifier on EfficientNet-Lite0's pooled features,
fitted to the *reference* images and judging the produced ones (`vtbench.evaluate.linear_classifier`). The i-th produced
image is judged by a classifier that has not seen the i-th reference image.
"""

from __future__ import annotations

import numpy as np

from vtbench.errors import DataError
from vtbench.evaluate.linear_classifier import FOLDS, PENALTY, cross_fitted_accuracies
from vtbench.evaluate.metric import LABELS, Measured, Quantity, Result, Value
from vtbench.evaluate.metrics.feature_metric import FeatureMetric


class ClassifierTop1(FeatureMetric):
    """Share of produced images that EfficientNet-Lite0 gives their ImageNet label."""

    of_generations = True
    name = "classifier_top1"
    title = "Top-1 (EfficientNet-Lite0)"
    network = "effnet_lite0"
    layer = "logits"
    higher_is_better = True
    min_samples = 1000
    source = "top-1 accuracy of EfficientNet-Lite0's ImageNet classifier on produced images, against their labels"
    value_range = (0.0, 1.0)
    equation = r"\mathrm{mean}_i\, [\arg\max f(\hat x_i) = y_i]"

    def quantities(self) -> tuple[Quantity, ...]:
        """Return the produced images' logits and labels."""
        return (self.produced(), LABELS)

    def compute(self, measured: Measured) -> Result:
        """Return the share.

        Raises:
            DataError: there are no images, or a label is not one of ImageNet's.
        """
        logits, labels = measured.rows(self.produced()), measured.rows(LABELS)
        if not len(labels):
            raise DataError(f"{self.title} needs at least one image.")
        if labels.min() < 0 or labels.max() >= logits.shape[1]:
            raise DataError(
                f"{self.title} needs ImageNet's labels 0 to {logits.shape[1] - 1}; these go from {labels.min()} to"
                f" {labels.max()}. For other classes take classifier_top1_fitted."
            )
        return Result(float(np.mean(np.argmax(logits, axis=1) == labels)))


class ClassifierTop1Fitted(FeatureMetric):
    """Share of produced images that a classifier fitted to the reference images gives their label."""

    name = "classifier_top1_fitted"
    title = "Top-1 (fitted to references)"
    network = "effnet_lite0"
    higher_is_better = True
    min_samples = 1000
    source = "top-1 of a logistic regression on EfficientNet-Lite0 features of other reference images, 5 folds"
    value_range = (0.0, 1.0)
    equation = r"\mathrm{mean}_i\, [\arg\max f_{-i}(\hat x_i) = y_i]"

    @classmethod
    def protocol(cls) -> dict[str, Value]:
        """Return the network and how the classifier is fitted."""
        return super().protocol() | {"folds": FOLDS, "penalty": PENALTY}

    def quantities(self) -> tuple[Quantity, ...]:
        """Return the features of both sides and the labels."""
        return (self.reference(), self.produced(), LABELS)

    def compute(self, measured: Measured) -> Result:
        """Return the share; `params` hold the same for the reference images themselves, which bounds it.

        Raises:
            DataError: the two sides are not paired, or there are too few images.
        """
        reference, produced = measured.rows(self.reference()), measured.rows(self.produced())
        labels = np.asarray(measured.rows(LABELS))
        if len(reference) != len(produced):
            raise DataError(
                f"{self.title} needs as many reference images as produced ones,"
                f" not {len(reference)} and {len(produced)}."
            )
        value, bound = cross_fitted_accuracies(reference, [produced, reference], labels)
        return Result(value, params={"reference": bound})
