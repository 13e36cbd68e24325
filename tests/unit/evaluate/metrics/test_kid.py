"""The kernel distance has a known answer, is torch-fidelity's, and does not depend on how it is computed."""

import numpy as np
import pytest
import torch
from torch_fidelity.metric_kid import KEY_METRIC_KID_MEAN, KEY_METRIC_KID_STD, kid_features_to_metric

from vtbench.errors import DataError
from vtbench.evaluate.metric import Measured
from vtbench.evaluate.metrics import kid
from vtbench.evaluate.metrics.kid import Rkid, RkidEffnet, kernel_distances


def _measured(rows):
    metric = RkidEffnet()
    return Measured({metric.reference().key: rows["reference"], metric.produced().key: rows["produced"]})


def test_two_points_by_hand():
    x, y = np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([[1.0, 1.0], [0.0, 0.0]])
    # k(x1, x2) = 1, k(y1, y2) = 1; k(x, y1) = 1.5^3 twice, k(x, y2) = 1 twice
    assert kernel_distances(x, y)[0] == pytest.approx(1 + 1 - 2 * (2 * 3.375 + 2) / 4)


def _pooled(rows):
    return _measured({side: layers["pooled"] for side, layers in rows.items()})


def test_equals_torch_fidelity(effnet_rows, fidelity_values):
    result = RkidEffnet().compute(_pooled(effnet_rows[1]))
    assert fidelity_values[KEY_METRIC_KID_MEAN] > 0.01
    assert result.value == pytest.approx(fidelity_values[KEY_METRIC_KID_MEAN], rel=1e-4)


def test_subsets_are_those_of_torch_fidelity(effnet_rows, monkeypatch):
    _, rows = effnet_rows
    monkeypatch.setattr(kid, "SUBSET_SIZE", 30)
    result = RkidEffnet().compute(_pooled(rows))
    both = (torch.from_numpy(rows[side]["pooled"]) for side in ("produced", "reference"))
    theirs = kid_features_to_metric(*both, kid_subset_size=30, verbose=False)
    assert result.value == pytest.approx(theirs[KEY_METRIC_KID_MEAN], rel=1e-4)
    assert result.params["subset_std"] == pytest.approx(theirs[KEY_METRIC_KID_STD], rel=1e-3)
    assert result.params["subset_std"] > 0


def test_both_ways_of_summing_agree(monkeypatch):
    draw = np.random.default_rng(0)
    x, y = draw.normal(size=(80, 8)), draw.normal(size=(90, 8)) + 0.1
    monkeypatch.setattr(kid, "SUBSET_SIZE", 50)
    together = kernel_distances(x, y)
    monkeypatch.setattr(kid, "SUBSETS", 2)  # 2 x 50 x 50 pairs are fewer than 80 x 90
    np.testing.assert_allclose(kernel_distances(x, y), together[:2], rtol=1e-10)


def test_worse_images_are_further_away(effnet_rows):
    _, rows = effnet_rows
    same = {"reference": rows["reference"]["pooled"][::2], "produced": rows["reference"]["pooled"][1::2]}
    worse = {"reference": same["reference"], "produced": rows["produced"]["pooled"][1::2]}
    assert RkidEffnet().compute(_measured(worse)).value > RkidEffnet().compute(_measured(same)).value


def test_one_image_is_too_few():
    with pytest.raises(DataError, match="at least 2"):
        kernel_distances(np.zeros((1, 3)), np.zeros((5, 3)))


def test_inception_alone_is_called_kid():
    assert (Rkid.network, RkidEffnet.network) == ("inception", "effnet_lite0")
    assert "KID" not in RkidEffnet.title
