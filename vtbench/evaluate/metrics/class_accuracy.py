"""Whether generated images show the class that was asked for, as a classifier of the reference images sees it.

FlexTok (arXiv:2502.13967, figure 7) asks DINOv2-L's ImageNet classifier of generated images for their class. This one
needs neither ImageNet's classes nor a download: a logistic regression on EfficientNet-Lite0's pooled features
(`vtbench.evaluate.linear_classifier`), fitted to the reference images, which for generated images are the training
split. Images of ImageNet have `classifier_top1` too, whose classifier no study fits.

Of more than `MOST_FITTED` reference images the first are fitted to.
"""

from __future__ import annotations

import hashlib
from collections import OrderedDict

import numpy as np
from jaxtyping import Float, Int

from vtbench.errors import DataError
from vtbench.evaluate.linear_classifier import PENALTY, LinearClassifier
from vtbench.evaluate.metric import LABELS, Measured, Quantity, Result, Value
from vtbench.evaluate.metrics.feature_metric import FeatureMetric
from vtbench.evaluate.statistics import block_jackknife, without_each_block

MOST_FITTED = 20_000
_MOST_KEPT = 4
_fitted: OrderedDict[str, LinearClassifier] = OrderedDict()
"""Classifiers by what they were fitted to: the many points of a run share their reference images."""


class ClassAccuracy(FeatureMetric):
    """Share of produced images that a classifier of the reference images gives the class they were made for."""

    of_reconstructions = False
    of_generations = True
    name = "class_accuracy"
    title = "Class accuracy"
    network = "effnet_lite0"
    higher_is_better = True
    min_samples = 200
    source = "FlexTok 2025, figure 7; logistic regression on EfficientNet-Lite0 features of the reference images"
    value_range = (0.0, 1.0)
    equation = r"\mathrm{mean}_i\, [\arg\max f(\hat x_i) = c_i]"

    @classmethod
    def protocol(cls) -> dict[str, Value]:
        """Return the network and how the classifier is fitted."""
        return super().protocol() | {"penalty": PENALTY, "fitted_to": f"the first {MOST_FITTED} reference images"}

    def quantities(self) -> tuple[Quantity, ...]:
        """Return the features of both sides and the produced images' labels."""
        return (self.reference(), self.produced(), LABELS)

    def compute(self, measured: Measured) -> Result:
        """Return the share, with its interval over images; `params` hold that of chance.

        Raises:
            DataError: the reference images have no labels, or all the same.
        """
        labels = np.asarray(measured.rows(LABELS))
        known = measured.reference_labels
        if known is None:
            raise DataError(f"{self.title} needs the reference images' labels, and they have none.")
        reference = measured.rows(self.reference())[:MOST_FITTED]
        hits = (_classifier(reference, known[:MOST_FITTED]).predict(measured.rows(self.produced())) == labels).astype(
            np.float64
        )
        value = float(hits.mean())
        without = without_each_block(hits, lambda rows: float(rows.mean()))
        interval = block_jackknife(value, without).interval if without else None
        frequent = float(np.unique(labels, return_counts=True)[1].max() / len(labels))
        return Result(value, interval, {"most_frequent_class": frequent}, without)


def _classifier(features: Float[np.ndarray, "num dim"], labels: Int[np.ndarray, " num"]) -> LinearClassifier:
    """Return the classifier of these features, fitted once for a process."""
    if len(np.unique(labels)) < 2:
        raise DataError("A classifier needs reference images of at least 2 classes.")
    digest = hashlib.sha256(np.ascontiguousarray(features).data)
    digest.update(np.ascontiguousarray(labels).data)
    key = digest.hexdigest()
    if key not in _fitted:
        _fitted[key] = LinearClassifier(features, labels)
        while len(_fitted) > _MOST_KEPT:
            _fitted.popitem(last=False)
    return _fitted[key]
