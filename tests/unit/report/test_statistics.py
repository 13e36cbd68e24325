import math

import pytest

from vtbench.report.statistics import Difference, paired_difference, spread


def test_mean_and_sample_deviation():
    found = spread([1.0, 2.0, 3.0])
    assert (found.mean, found.sd, found.num_seeds) == (2.0, 1.0, 3)
    # t quantile 0.975 with 2 degrees of freedom is 4.3027 in every table
    assert found.half_width == pytest.approx(4.3027 / math.sqrt(3), rel=1e-4)


def test_one_seed_has_no_spread_and_none_has_nothing():
    found = spread([5.0])
    assert (found.mean, found.sd, found.half_width) == (5.0, None, None)
    assert spread([]) is None


def test_pairing_takes_out_what_seeds_share():
    reference = {0: 10.0, 1: 20.0, 2: 30.0}
    found = paired_difference({0: 9.0, 1: 19.1, 2: 28.9}, reference)
    assert found.mean == pytest.approx(-1.0)
    assert found.interval == pytest.approx((-1.2484, -0.7516), abs=1e-3)
    assert found.claimed
    assert not paired_difference({0: 9.0, 1: 21.0, 2: 29.0}, reference).claimed


def test_only_common_seeds_count():
    found = paired_difference({0: 1.0, 1: 5.0}, {1: 2.0, 2: 9.0})
    assert found == Difference(mean=3.0, interval=None, num_seeds=1)
    assert not found.claimed
    assert paired_difference({0: 1.0}, {1: 1.0}) is None
