"""The linear classifier separates what is separable, shrinks to nothing else, and never judges what it has seen."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from vtbench.errors import DataError
from vtbench.evaluate.linear_classifier import PENALTY, LinearClassifier, cross_fitted_accuracies, folds


def _clusters(num=200, dim=6, spread=0.3, seed=0):
    draw = np.random.default_rng(seed)
    labels = draw.integers(0, 4, num) * 10
    centres = np.random.default_rng(99).normal(size=(4, dim))
    return centres[labels // 10] + spread * draw.normal(size=(num, dim)), labels


def test_separable_classes_are_found_under_their_own_labels():
    features, labels = _clusters()
    more, truth = _clusters(seed=1)
    predicted = LinearClassifier(features, labels).predict(more)
    assert set(np.unique(predicted)) <= {0, 10, 20, 30}
    assert (predicted == truth).mean() > 0.97


def test_the_objective_is_at_its_minimum():
    features, labels = _clusters(60)
    classifier = LinearClassifier(features, labels)
    x = torch.from_numpy((features - features.mean(axis=0)) / features.std(axis=0))
    weights, bias = (each.clone().requires_grad_() for each in (classifier._weights, classifier._bias))
    loss = F.cross_entropy(x @ weights + bias, torch.from_numpy(labels // 10)) + PENALTY / 2 * weights.square().sum()
    loss.backward()
    assert max(weights.grad.abs().max(), bias.grad.abs().max()) < 1e-5


def test_twice_the_same_and_constant_features_do_not_hurt():
    features, labels = _clusters()
    with_constant = np.concatenate([features, np.full((len(features), 1), 7.0)], axis=1)
    first = LinearClassifier(features, labels)
    assert torch.equal(first._weights, LinearClassifier(features, labels)._weights)
    np.testing.assert_array_equal(
        LinearClassifier(with_constant, labels).predict(with_constant), first.predict(features)
    )


def test_noise_is_judged_at_chance():
    draw = np.random.default_rng(0)
    features, labels = draw.normal(size=(400, 150)), draw.integers(0, 2, 400)
    (accuracy,) = cross_fitted_accuracies(features, [features], labels)
    assert 0.4 < accuracy < 0.6  # judged on what it was fitted to, it would be far above
    assert (LinearClassifier(features, labels).predict(features) == labels).mean() > 0.7


def test_folds_are_disjoint_and_complete():
    parts = folds(23)
    assert sorted(map(len, parts)) == [4, 4, 5, 5, 5]
    assert sorted(np.concatenate(parts).tolist()) == list(range(23))


def test_several_sets_are_judged_by_the_same_classifiers():
    features, labels = _clusters()
    good, spoiled = cross_fitted_accuracies(features, [features, features[::-1]], labels)
    assert good > 0.95 > spoiled


def test_too_little_to_fit():
    with pytest.raises(DataError, match="not 4 of 2"):
        cross_fitted_accuracies(np.zeros((4, 2)), [np.zeros((4, 2))], np.array([0, 1, 0, 1]))
    with pytest.raises(DataError, match="not 9 of 1"):
        cross_fitted_accuracies(np.zeros((9, 2)), [np.zeros((9, 2))], np.zeros(9, dtype=int))
