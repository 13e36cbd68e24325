"""Intervals and tests against tables, scipy and known truths; how often intervals cover is in `test_coverage`."""

import math

import numpy as np
import pytest
from scipy import stats

from vtbench.evaluate.statistics import (
    Error,
    Estimate,
    block_jackknife,
    blocks,
    bootstrap_interval,
    crossed,
    holm,
    mean,
    relative,
    signed_rank,
    standardised,
    without_each_block,
)


def test_three_seeds_by_hand():
    # mean 2, standard deviation 1, t(0.975, 2) = 4.302653: half-width 4.302653 / sqrt(3)
    found = mean([1.0, 2.0, 3.0])
    assert (found.value, *found.interval) == pytest.approx((2.0, 2 - 2.484138, 2 + 2.484138), abs=1e-6)


def test_a_mean_agrees_with_scipy():
    values = [0.3, 0.9, -0.4, 1.7, 0.2]
    expected = stats.ttest_1samp(values, 0.0)
    found = mean(values)
    assert found.p_value == pytest.approx(expected.pvalue)
    assert found.interval == pytest.approx((expected.confidence_interval().low, expected.confidence_interval().high))


def test_one_value_tells_nothing_of_its_spread():
    found = mean([3.0])
    assert found.value == 3.0
    assert not found.known
    assert all(map(math.isnan, (*found.interval, found.p_value)))
    with pytest.raises(ValueError, match="at least one"):
        mean([])


def test_equal_values_leave_no_doubt():
    assert Estimate(0.5, (Error(0.0, 2.0),)).p_value == 0.0
    assert Estimate(0.0, (Error(0.0, 2.0),)).p_value == 1.0


def test_blocks_part_the_images_in_the_same_way_each_time():
    parts = blocks(244)
    assert len(parts) == 10
    assert sorted(np.concatenate(parts).tolist()) == list(range(244))
    assert {len(part) for part in parts} == {24, 25}
    assert all(np.array_equal(one, other) for one, other in zip(parts, blocks(244), strict=True))
    assert max(np.diff(parts[0])) > 1  # not a stretch of neighbours
    assert [len(part) for part in blocks(3)] == [1, 1, 1]


def test_a_jackknife_of_a_mean_is_the_mean_with_its_standard_error():
    rows = np.random.default_rng(0).normal(size=10)
    without = without_each_block(rows, lambda rest: float(rest.mean()))
    found, expected = block_jackknife(float(rows.mean()), without), mean(rows)
    assert found.value == pytest.approx(expected.value)
    assert found.errors[0] == pytest.approx(expected.errors[0])


def test_a_jackknife_sees_a_bias_that_falls_as_one_over_n():
    rows = np.random.default_rng(0).normal(size=10)
    without = without_each_block(rows, lambda rest: float(rest.var()))  # biased by -1/n of the variance
    found = block_jackknife(float(rows.var()), without, at_limit=True)
    assert found.value == pytest.approx(rows.var(ddof=1), rel=1e-9)


def test_a_jackknife_needs_two_blocks():
    with pytest.raises(ValueError, match="at least 2 blocks"):
        block_jackknife(1.0, [1.0])
    assert without_each_block(np.zeros(1), lambda rest: 0.0) == ()


def test_seeds_and_images_add_the_squares_of_their_half_widths():
    seeds, images = mean([1.0, 2.0, 3.0]), Estimate(2.0, (Error(0.5, 9.0),))
    found = crossed([1.0, 2.0, 3.0], images)
    half = math.hypot(seeds.interval.high - 2, images.interval.high - 2)
    assert found.interval == pytest.approx((2 - half, 2 + half))
    assert found.standard_error == pytest.approx(math.sqrt(1 / 3 + 0.25))


def test_p_is_the_level_at_which_the_interval_reaches_zero():
    found = crossed([1.0, 2.0, 3.0], Estimate(2.0, (Error(0.5, 9.0),)))
    at = [float(stats.t.isf(found.p_value / 2, df)) * error for error, df in found.errors]
    assert math.hypot(*at) == pytest.approx(2.0)
    assert found.p_value > mean([1.0, 2.0, 3.0]).p_value
    assert 0 < Estimate(1e9, (Error(1.0, 9.0),)).p_value <= 1e-9
    assert Estimate(0.0, (Error(1.0, 9.0),)).p_value == pytest.approx(1.0)


def test_one_level_alone():
    assert crossed([1.0, 2.0, 3.0], None) == mean([1.0, 2.0, 3.0])
    assert crossed([2.0], Estimate(2.0, (Error(0.5, 9.0),))) == Estimate(2.0, (Error(0.5, 9.0),))
    assert not crossed([2.0], None).known


def test_a_bootstrap_of_a_mean_is_near_its_t_interval():
    differences = np.random.default_rng(0).normal(0.2, 1.0, 500)
    assert bootstrap_interval(differences) == pytest.approx(mean(differences).interval, abs=0.02)
    assert bootstrap_interval(differences) == bootstrap_interval(differences)
    with pytest.raises(ValueError, match="at least 2"):
        bootstrap_interval(np.zeros(1))


def test_signed_ranks_agree_with_scipy_and_say_how_far():
    differences = np.random.default_rng(0).normal(0.3, 1.0, 60)
    found = signed_rank(differences)
    assert found.p_value == pytest.approx(stats.wilcoxon(differences).pvalue)
    ranks = stats.rankdata(np.abs(differences))
    assert found.rank_biserial == pytest.approx(2 * ranks[differences > 0].sum() / ranks.sum() - 1)
    assert signed_rank(np.array([1.0, 2.0, 3.0])).rank_biserial == 1.0
    assert signed_rank(np.zeros(5)) == (1.0, 0.0)


def test_holm_by_hand():
    # sorted 0.01, 0.02, 0.04 are multiplied by 3, 2 and 1
    assert holm([0.04, 0.01, 0.02]) == pytest.approx([0.04, 0.03, 0.04])
    assert holm([0.5, 0.6]) == pytest.approx([1.0, 1.0])
    adjusted = holm([0.01, math.nan, 0.02])
    assert math.isnan(adjusted[1])
    assert adjusted[::2] == pytest.approx([0.02, 0.02])


def test_effect_sizes():
    assert relative(-59.0, 316.0) == pytest.approx(-0.1867, abs=1e-4)
    assert relative(1.0, -2.0) == 0.5
    assert math.isnan(relative(1.0, 0.0))
    assert standardised(np.array([1.0, 2.0, 3.0])) == pytest.approx(2.0)
    assert math.isnan(standardised(np.ones(3)))
