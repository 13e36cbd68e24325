"""The classifier is fitted to the reference images alone and judges the produced ones."""

import numpy as np
import pytest

from vtbench.errors import DataError
from vtbench.evaluate.metric import LABELS, Measured
from vtbench.evaluate.metrics.class_accuracy import ClassAccuracy


def _measured(produced, asked, reference, labels):
    rows = {ClassAccuracy.produced().key: produced, LABELS.key: asked, ClassAccuracy.reference().key: reference}
    return Measured(rows, len(produced), paired=False, reference_labels=labels)


@pytest.fixture
def reference():
    draw = np.random.default_rng(0)
    labels = np.arange(120) % 3
    return (draw.normal(size=(120, 6)) + 5 * np.eye(3, 6)[labels]).astype(np.float32), labels


def test_samples_of_their_class_count_and_others_do_not(reference):
    features, labels = reference
    draw = np.random.default_rng(1)
    asked = np.arange(60) % 3
    shown = np.where(np.arange(60) < 45, asked, (asked + 1) % 3)
    produced = (draw.normal(size=(60, 6)) * 0.1 + 5 * np.eye(3, 6)[shown]).astype(np.float32)
    found = ClassAccuracy().compute(_measured(produced, asked, features, labels))
    assert found.value == 0.75
    assert found.params == {"most_frequent_class": pytest.approx(1 / 3)}
    assert found.interval[0] < 0.75 < found.interval[1]


def test_it_needs_labels_of_two_classes(reference):
    features, labels = reference
    with pytest.raises(DataError, match="labels"):
        ClassAccuracy().compute(_measured(features, labels, features, None))
    with pytest.raises(DataError, match="2 classes"):
        ClassAccuracy().compute(_measured(features, labels, features, np.zeros_like(labels)))
