"""The probe reads classes from tokens if they are there, and only from images it was not fitted to."""

import numpy as np

from vtbench.evaluate.metric import LABELS, LATENTS, Measured
from vtbench.evaluate.metrics.linear_probe import LinearProbe


def _value(latents, labels):
    return LinearProbe().compute(Measured({LATENTS.key: latents, LABELS.key: labels}))


def test_classes_in_one_token_are_read_and_shuffled_ones_are_not():
    draw = np.random.default_rng(0)
    labels = draw.integers(0, 4, 200)
    latents = draw.choice([-1.0, -0.5, 0.5, 1.0], size=(200, 8, 6)).astype(np.float32)
    latents[:, 3, :4] = np.eye(4)[labels]
    result = _value(latents, labels)
    assert result.value > 0.95
    assert result.params["num_features"] == 48  # 6 x tokens
    assert 0.25 <= result.params["most_frequent_class"] < 0.4
    shuffled = _value(latents, draw.permutation(labels))
    assert shuffled.value < 0.45


def test_it_asks_for_latents_and_labels():
    assert LinearProbe().quantities() == (LATENTS, LABELS)
    assert LinearProbe.protocol()["folds"] == 5


def test_fewer_tokens_show_less():
    draw = np.random.default_rng(0)
    labels = draw.integers(0, 4, 200)
    latents = (0.5 * np.eye(4)[labels][:, None] + draw.normal(size=(200, 16, 4))).astype(np.float32)
    assert 0.3 < _value(latents[:, :1], labels).value + 0.15 < _value(latents, labels).value < 1
