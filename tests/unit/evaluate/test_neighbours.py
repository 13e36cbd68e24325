"""Nearest neighbours against the plain definition."""

import numpy as np
import pytest

from vtbench.errors import DataError
from vtbench.evaluate.neighbours import nearest


def test_nearest_is_that_of_all_pairs():
    draw = np.random.default_rng(0)
    rows = draw.normal(size=(2000, 5)).astype(np.float32) + 1000
    others = draw.normal(size=(30, 5)).astype(np.float32) + 1000
    found = nearest(rows, others)
    distances = np.linalg.norm(rows[:, None].astype(np.float64) - others[None], axis=2)
    assert np.array_equal(found.position, distances.argmin(axis=1))
    np.testing.assert_allclose(found.distance, distances.min(axis=1), rtol=1e-9)


def test_a_copy_has_distance_zero_and_of_equal_ones_the_first_counts():
    others = np.array([[1.0, 2.0], [3.0, 4.0], [3.0, 4.0]])
    found = nearest(others[2:], others)
    assert found.position.tolist() == [1]
    assert found.distance.tolist() == [0.0]


def test_no_rows_and_no_others():
    assert len(nearest(np.empty((0, 2)), np.ones((3, 2))).position) == 0
    with pytest.raises(DataError, match="no image"):
        nearest(np.ones((3, 2)), np.empty((0, 2)))
