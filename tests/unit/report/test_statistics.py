from vtbench.report.statistics import spread


def test_mean_and_sample_deviation():
    found = spread([1.0, 2.0, 3.0])
    assert (found.mean, found.sd, found.num_seeds) == (2.0, 1.0, 3)


def test_one_seed_has_no_spread_and_none_has_nothing():
    found = spread([5.0])
    assert (found.mean, found.sd) == (5.0, None)
    assert spread([]) is None
