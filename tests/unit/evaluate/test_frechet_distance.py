"""Frechet distances with known answers, by both ways, and sums that can be split."""

import subprocess
import sys

import numpy as np
import pytest
from torch_fidelity.metric_fid import KEY_METRIC_FID, fid_statistics_to_metric

from vtbench.errors import DataError
from vtbench.evaluate.frechet_distance import (
    Statistics,
    Sums,
    frechet,
    frechet_by_count,
    frechet_of_rows,
    root,
    statistics,
)


def _sample(mean, covariance, num=500, seed=0):
    """Return rows whose mean and covariance are exactly these."""
    normal = np.random.default_rng(seed).normal(size=(num, len(mean)))
    normal -= normal.mean(axis=0)
    white = normal @ np.linalg.inv(np.linalg.cholesky(np.cov(normal, rowvar=False))).T
    return white @ np.linalg.cholesky(np.asarray(covariance)).T + np.asarray(mean)


def _features(num, dim, seed):
    """Return correlated rows, far from the origin, with a spectrum over six decades as real features have."""
    draw = np.random.default_rng(seed)
    turn = np.linalg.qr(np.random.default_rng(99).normal(size=(dim, dim)))[0]
    rows = (draw.normal(size=(num, dim)) * np.geomspace(1, 1e-3, dim)) @ turn * (1 + 0.1 * seed) + 3
    return rows.astype(np.float32)


def test_gaussians_with_diagonal_covariances():
    one = np.array([1.0, 2.0, 3.0]), np.diag([1.0, 4.0, 9.0])
    two = np.array([1.0, 0.0, 6.0]), np.diag([4.0, 4.0, 1.0])
    # |m1 - m2|^2 = 0 + 4 + 9; the covariances commute: sum (s1 - s2)^2 = 1 + 0 + 4
    assert frechet(*one, *two) == pytest.approx(18.0, abs=1e-8)
    assert frechet_of_rows(_sample(*one), _sample(*two, seed=1)) == pytest.approx(18.0, rel=1e-8)


def test_gaussians_whose_covariances_do_not_commute():
    first, second = np.array([[2.0, 0.5], [0.5, 1.0]]), np.array([[1.0, -0.3], [-0.3, 3.0]])
    # for 2 x 2 matrices tr (AB)^(1/2) = sqrt(tr AB + 2 sqrt(det AB))
    product = first @ second
    cross = np.sqrt(np.trace(product) + 2 * np.sqrt(np.linalg.det(product)))
    expected = np.trace(first) + np.trace(second) - 2 * cross
    assert frechet(np.zeros(2), first, np.zeros(2), second) == pytest.approx(expected, abs=1e-8)


def test_a_constant_side_has_no_cross_term():
    covariance = np.diag([1.0, 2.0])
    assert frechet(np.zeros(2), np.zeros((2, 2)), np.ones(2), covariance) == pytest.approx(5.0, abs=1e-12)
    assert frechet(np.ones(2), covariance, np.zeros(2), np.zeros((2, 2))) == pytest.approx(5.0, abs=1e-12)


@pytest.mark.parametrize(("num_first", "num_second"), [(150, 90), (30, 150), (40, 25)])
def test_few_images_and_many_agree(num_first, num_second):
    first, second = _features(num_first, 64, 1), _features(num_second, 64, 2)
    one, two = statistics(first), statistics(second)
    by_matrices = frechet(one.mean, one.covariance, two.mean, two.covariance)
    assert frechet_of_rows(first, second) == pytest.approx(by_matrices, rel=1e-6)
    theirs = [{"mu": each.mean, "sigma": each.covariance} for each in (one, two)]
    assert by_matrices == pytest.approx(fid_statistics_to_metric(*theirs, verbose=False)[KEY_METRIC_FID], rel=1e-5)


def test_a_set_is_at_no_distance_from_itself():
    for num in (30, 200):
        rows = _features(num, 64, 1)
        assert frechet_of_rows(rows, rows) == pytest.approx(0.0, abs=1e-6)


def test_order_does_not_show():
    first, second = _features(90, 32, 1), _features(80, 32, 2)
    order = np.random.default_rng(0).permutation(90)
    assert frechet_of_rows(first[order], second) == pytest.approx(frechet_of_rows(first, second), rel=1e-8)


def test_statistics_are_numpys():
    rows = _features(2500, 16, 1)  # more than are brought to float64 at once
    found = statistics(rows)
    assert found.n == 2500
    np.testing.assert_allclose(found.mean, rows.astype(np.float64).mean(axis=0), rtol=1e-13)
    np.testing.assert_allclose(found.covariance, np.cov(rows.astype(np.float64), rowvar=False), rtol=1e-9, atol=1e-13)
    assert np.array_equal(found.covariance, found.covariance.T)


def test_sums_of_parts_add_up_and_can_be_taken_away():
    rows = _features(300, 8, 1)
    origin = rows[:5].astype(np.float64).mean(axis=0)
    whole, first, rest = (Sums.of(part, origin) for part in (rows, rows[:120], rows[120:]))
    for got, expected in (((first + rest), whole), ((whole - first), rest)):
        assert got.n == expected.n
        np.testing.assert_allclose(got.statistics().covariance, expected.statistics().covariance, rtol=1e-10)
        np.testing.assert_allclose(got.statistics().mean, expected.statistics().mean, rtol=1e-12)
    with pytest.raises(ValueError, match="different origins"):
        _ = whole + Sums.of(rows)


def test_digits_survive_a_large_mean():
    rows = np.random.default_rng(0).normal(size=(400, 3)) + 1e7
    np.testing.assert_allclose(statistics(rows).covariance, np.cov(rows, rowvar=False), rtol=1e-9)


def test_root_squares_to_the_covariance():
    covariance = statistics(_features(20, 32, 1)).covariance
    factor = root(covariance)
    assert factor.shape == (32, 19)
    np.testing.assert_allclose(factor @ factor.T, covariance, atol=1e-12)


def test_by_count_is_the_distance_of_each_beginning():
    reference, rows = statistics(_features(200, 32, 1)), _features(150, 32, 2)
    counts = [10, 31, 33, 150]
    found = frechet_by_count(reference, rows, counts)
    assert np.array_equal(found, frechet_by_count(reference, rows, counts, root(reference.covariance)))
    for value, count in zip(found, counts, strict=True):
        part = statistics(rows[:count])
        expected = frechet(reference.mean, reference.covariance, part.mean, part.covariance)
        assert value == pytest.approx(expected, rel=1e-6)


@pytest.mark.parametrize("num", [0, 1])
def test_too_few_rows(num):
    rows = _features(4, 8, 1)
    with pytest.raises(DataError, match="at least 2"):
        statistics(rows[:num])
    with pytest.raises(DataError, match="at least 2"):
        frechet_of_rows(rows, rows[:num])


def test_reports_can_use_it_without_torch():
    code = "import sys, vtbench.evaluate.frechet_distance; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
    assert Statistics._fields == ("n", "mean", "covariance")
