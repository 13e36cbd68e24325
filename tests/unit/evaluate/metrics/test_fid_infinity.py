"""The limit of a Frechet distance is free of the bias that falls with 1/n."""

import numpy as np
import pytest

from vtbench.errors import DataError
from vtbench.evaluate.frechet_distance import Statistics, frechet, statistics
from vtbench.evaluate.metric import Measured
from vtbench.evaluate.metrics.fid_infinity import FdInfinityEffnet, frechet_by_size


def _result(reference, produced):
    metric = FdInfinityEffnet()
    return metric.compute(Measured({metric.reference().key: reference, metric.produced().key: produced}))


def test_the_bias_of_a_small_sample_is_taken_off():
    dim, truth = 16, 16 * (0.1**2 + 0.1**2)  # of N(0, 1) and N(0.1, 1.1^2) in each dimension
    reference = Statistics(10**9, np.zeros(dim), np.eye(dim))
    limits, distances = [], []
    for seed in range(40):
        produced = np.random.default_rng(seed).normal(size=(600, dim)) * 1.1 + 0.1
        by_size = frechet_by_size(produced, reference)
        slope, limit = np.polyfit(1 / by_size[0], by_size[1], 1)
        assert slope > 0
        limits.append(limit)
        distances.append(by_size[1][-1])
    assert np.mean(distances) > truth + 0.1
    assert abs(np.mean(limits) - truth) < 0.2 * abs(np.mean(distances) - truth)


def test_the_value_is_the_intercept():
    draw = np.random.default_rng(0)
    reference, produced = draw.normal(size=(2000, 8)), draw.normal(size=(1500, 8)) + 0.1
    result = _result(reference, produced)
    sizes, distances = frechet_by_size(produced, statistics(reference))
    slope, intercept = np.polyfit(1 / sizes, distances, 1)
    assert result.value == pytest.approx(intercept)
    assert result.params["slope"] == pytest.approx(slope)
    assert result.params["r_squared"] == pytest.approx(np.corrcoef(1 / sizes, distances)[0, 1] ** 2)


def test_sizes_go_from_a_tenth_to_all_and_the_last_is_the_distance():
    draw = np.random.default_rng(0)
    reference, produced = draw.normal(size=(500, 6)), draw.normal(size=(400, 6)) + 0.3
    sizes, distances = frechet_by_size(produced, statistics(reference))
    assert len(sizes) == 15
    assert (sizes[0], sizes[-1]) == (40, 400)
    one, two = statistics(reference), statistics(produced)
    assert distances[-1] == pytest.approx(frechet(one.mean, one.covariance, two.mean, two.covariance), rel=1e-9)


def test_a_shift_moves_it_up():
    draw = np.random.default_rng(0)
    reference, produced = draw.normal(size=(500, 6)), draw.normal(size=(400, 6))
    assert _result(reference, produced + 1).value > _result(reference, produced).value + 5


def test_few_images_are_refused():
    with pytest.raises(DataError, match="at least 150"):
        frechet_by_size(np.zeros((149, 2)), statistics(np.random.default_rng(0).normal(size=(10, 2))))
