"""Top-1: EfficientNet-Lite0 names photographs; a classifier fitted to references judges what is like them."""

import numpy as np
import pytest
import torch
from skimage import data

from vtbench.errors import DataError
from vtbench.evaluate.metric import LABELS, Measured
from vtbench.evaluate.metrics.classifier_top1 import ClassifierTop1, ClassifierTop1Fitted
from vtbench.features.effnet_lite0 import EffnetLite0


def test_photographs_are_given_their_imagenet_labels():
    photographs = [data.chelsea()[:300, :300], data.coffee()[:, 100:500], data.rocket()[:, 100:527]]
    network = EffnetLite0()
    images = [torch.from_numpy(each.copy()).permute(2, 0, 1)[None] for each in photographs]
    logits = np.concatenate([network.extract(image, ("logits",))["logits"].numpy() for image in images])
    for labels, share in (([285, 967, 657], 1.0), ([285, 967, 1], 2 / 3)):
        rows = {ClassifierTop1.produced().key: logits, LABELS.key: np.array(labels)}
        assert ClassifierTop1().compute(Measured(rows)).value == pytest.approx(share)


@pytest.mark.parametrize("label", [-1, 1000])
def test_labels_of_another_data_set_are_refused(label):
    rows = {ClassifierTop1.produced().key: np.zeros((1, 1000)), LABELS.key: np.array([label])}
    with pytest.raises(DataError, match="classifier_top1_fitted"):
        ClassifierTop1().compute(Measured(rows))


def test_no_images():
    rows = {ClassifierTop1.produced().key: np.zeros((0, 1000)), LABELS.key: np.zeros(0, dtype=int)}
    with pytest.raises(DataError, match="at least one"):
        ClassifierTop1().compute(Measured(rows))


def _fitted(reference, produced, labels):
    rows = {
        ClassifierTop1Fitted.reference().key: reference,
        ClassifierTop1Fitted.produced().key: produced,
        LABELS.key: labels,
    }
    return ClassifierTop1Fitted().compute(Measured(rows))


def test_a_classifier_fitted_to_references_judges_the_produced():
    draw = np.random.default_rng(0)
    labels = draw.integers(0, 3, 150)
    reference = np.eye(20)[labels] * 3 + draw.normal(size=(150, 20))
    near = reference + 0.3 * draw.normal(size=reference.shape)
    far = reference + 20 * draw.normal(size=reference.shape)
    good, bad = _fitted(reference, near, labels), _fitted(reference, far, labels)
    assert good.value > 0.85 > 0.6 > bad.value
    assert good.params == bad.params
    assert good.params["reference"] > 0.85


def test_sides_of_different_lengths_are_refused():
    with pytest.raises(DataError, match="as many reference images"):
        _fitted(np.zeros((6, 2)), np.zeros((5, 2)), np.zeros(5, dtype=int))


def test_how_it_is_fitted_is_part_of_the_protocol():
    assert ClassifierTop1Fitted.protocol()["folds"] == 5
