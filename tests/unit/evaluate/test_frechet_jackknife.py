"""The Frechet distance without a block against the distance of what is left."""

import numpy as np
import pytest

from vtbench.evaluate.frechet_distance import frechet_of_rows, statistics
from vtbench.evaluate.frechet_jackknife import (
    frechet_of_few_without,
    frechet_without_of_few,
    frechet_without_of_many,
)
from vtbench.evaluate.statistics import blocks


def _sides(num, dim, num_reference=None, seed=0):
    draw = np.random.default_rng(seed)
    reference = draw.normal(size=(num_reference or num, dim)).astype(np.float32)
    base = reference[:num] if num_reference is None else draw.normal(size=(num, dim))
    return reference, (base + 0.4 * draw.normal(size=(num, dim)) + 0.1).astype(np.float32)


def _expected(reference, produced, parts, paired):
    return [
        frechet_of_rows(np.delete(reference, part, axis=0) if paired else reference, np.delete(produced, part, axis=0))
        for part in parts
    ]


@pytest.mark.parametrize("paired", [True, False])
def test_with_fewer_images_than_features(paired):
    reference, produced = _sides(23, 40)
    parts = blocks(23)
    found = frechet_without_of_few(reference, produced, parts, paired=paired)
    assert found == pytest.approx(_expected(reference, produced, parts, paired), rel=1e-7)


def test_with_fewer_images_and_references_of_another_number():
    reference, produced = _sides(23, 40, num_reference=31)
    found = frechet_without_of_few(reference, produced, blocks(23), paired=False)
    assert found == pytest.approx(_expected(reference, produced, blocks(23), False), rel=1e-7)


@pytest.mark.parametrize("paired", [True, False])
def test_with_more_images_than_features(paired):
    reference, produced = _sides(300, 12)
    parts = blocks(300)
    rows = (reference if paired else None, produced)
    found = frechet_without_of_many(statistics(reference), statistics(produced), rows, parts)
    assert found == pytest.approx(_expected(reference, produced, parts, paired), rel=1e-9)


def test_a_feature_that_never_changes_does_no_harm():
    reference, produced = _sides(300, 12)
    reference[:, 3] = produced[:, 3] = 0.0  # no Cholesky factor
    parts = blocks(300)
    found = frechet_without_of_many(statistics(reference), statistics(produced), (reference, produced), parts)
    assert found == pytest.approx(_expected(reference, produced, parts, True), rel=1e-7)


def test_few_images_against_the_statistics_of_many():
    reference, produced = _sides(20, 40, num_reference=90)
    parts = [np.empty(0, np.int64), *blocks(20)]
    found = frechet_of_few_without(statistics(reference), produced, parts)
    expected = [frechet_of_rows(reference, np.delete(produced, part, axis=0)) for part in parts]
    assert found == pytest.approx(expected, rel=1e-7)
