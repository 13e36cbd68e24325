"""Intervals against tables and against scipy."""

import math

import pytest
from scipy import stats

from vtbench.evaluate.statistics import paired_t_interval, t_interval


def test_three_seeds_by_hand():
    # mean 2, standard deviation 1, t(0.975, 2) = 4.302653: half-width 4.302653 / sqrt(3)
    assert t_interval([1.0, 2.0, 3.0]) == pytest.approx((2.0, 2 - 2.484138, 2 + 2.484138), abs=1e-6)


def test_agrees_with_scipy_at_another_confidence():
    values = [0.3, 0.9, -0.4, 1.7, 0.2]
    expected = stats.ttest_1samp(values, 0.0).confidence_interval(0.8)
    assert t_interval(values, 0.8)[1:] == pytest.approx((expected.low, expected.high))


def test_pairs_cancel_what_seeds_share():
    a, b = [10.0, 20.0, 30.0], [9.0, 19.2, 28.8]
    paired = paired_t_interval(a, b)
    expected = stats.ttest_rel(a, b).confidence_interval(0.95)
    assert paired == pytest.approx((1.0, expected.low, expected.high))
    assert paired.high - paired.low < t_interval(a).high - t_interval(a).low


def test_one_value_has_no_interval():
    mean, low, high = t_interval([3.0])
    assert mean == 3.0
    assert math.isnan(low)
    assert math.isnan(high)


def test_bad_input():
    with pytest.raises(ValueError, match="at least one"):
        t_interval([])
    with pytest.raises(ValueError, match="between 0 and 1"):
        t_interval([1.0, 2.0], 95.0)
    with pytest.raises(ValueError, match="2 and 1"):
        paired_t_interval([1.0, 2.0], [1.0])
