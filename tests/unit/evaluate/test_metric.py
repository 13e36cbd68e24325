"""Every row of the metric table declares all that a report needs of a metric; rows become statistics once."""

import numpy as np
import pytest

from vtbench.errors import DataError
from vtbench.evaluate import METRICS
from vtbench.evaluate.metric import CODES, LABELS, LATENTS, Measured, Metric, Quantity, features


@pytest.mark.parametrize("name", METRICS.names())
def test_metric_declares_itself(name):
    metric = METRICS.load(name)
    assert issubclass(metric, Metric)
    assert metric.name == name
    assert metric.title
    assert metric.source
    assert metric.equation
    low, high = metric.value_range
    assert low < high
    assert isinstance(metric.higher_is_better, bool)
    assert metric.version >= 1
    assert metric.min_samples >= 1
    quantities = metric().quantities()
    assert quantities
    assert all(isinstance(quantity, Quantity) for quantity in quantities)


def test_inception_alone_may_call_itself_fid():
    for name in METRICS:
        if "fid" in name.split("_")[0]:
            assert METRICS.load(name).network == "inception", name


def test_metrics_that_name_a_quantity_mean_the_same():
    found = {}
    for name in METRICS:
        for quantity in METRICS.load(name)().quantities():
            assert found.setdefault(quantity.key, quantity) == quantity


def test_features_are_named_by_network_layer_side_and_perturbation():
    quantity = features("effnet_lite0", "logits", "reference")
    assert quantity.key == "features/effnet_lite0/logits/reference"
    assert quantity.row_shape == (1000,)
    assert (quantity.network, quantity.layer, quantity.dtype) == ("effnet_lite0", "logits", "float32")
    perturbed = features("effnet_lite0", perturb=0.1)
    assert perturbed.key == "features/effnet_lite0/pooled/produced@perturb=0.1"
    assert perturbed.perturb == 0.1
    with pytest.raises(DataError, match="no layer 'poled'; it has logits, pooled, spatial"):
        features("effnet_lite0", "poled")


def test_the_passes_own_quantities():
    assert [(each.key, each.side) for each in (CODES, LATENTS, LABELS)] == [
        (name, name) for name in ("codes", "latents", "labels")
    ]


def test_measured_from_plain_arrays():
    quantity = features("effnet_lite0")
    rows = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    measured = Measured({quantity.key: rows}, codebook_sizes=(3,), size=(8, 8))
    assert measured.n == 5
    assert quantity in measured
    assert CODES not in measured
    assert measured.rows(quantity) is rows
    found = measured.statistics(quantity)
    assert found.n == 5
    np.testing.assert_allclose(found.covariance, np.cov(rows.astype(np.float64), rowvar=False))
    assert measured.statistics(quantity) is found
    factor = measured.root(quantity)
    np.testing.assert_allclose(factor @ factor.T, found.covariance, atol=1e-12)
    assert measured.root(quantity) is factor
    assert (measured.codebook_sizes, measured.size) == ((3,), (8, 8))
    with pytest.raises(KeyError):
        measured.rows(CODES)


def test_statistics_are_kept_for_other_runs(tmp_path):
    quantity = features("effnet_lite0", side="reference")
    rows = np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)
    path = tmp_path / "statistics.npy"
    first = Measured({quantity.key: rows}, kept_statistics={quantity.key: path}).statistics(quantity)
    # the file's name stands for the rows, so that they are not looked at again
    again = Measured({quantity.key: rows[:2]}, 5, kept_statistics={quantity.key: path}).statistics(quantity)
    assert again.n == first.n == 5
    assert np.array_equal(again.mean, first.mean)
    assert np.array_equal(again.covariance, first.covariance)
