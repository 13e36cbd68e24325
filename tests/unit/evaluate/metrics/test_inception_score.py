"""The Inception Score has known answers and is torch-fidelity's, with splits and without."""

import numpy as np
import pytest
import torch
from torch_fidelity.metric_isc import KEY_METRIC_ISC_MEAN, KEY_METRIC_ISC_STD, isc_features_to_metric

from vtbench.errors import DataError
from vtbench.evaluate.metric import Measured
from vtbench.evaluate.metrics.inception_score import InceptionScore, InceptionScoreUnsplit, inception_scores


class OverEffnet(InceptionScore):
    network = "effnet_lite0"


class UnsplitOverEffnet(InceptionScoreUnsplit):
    network = "effnet_lite0"


def test_sure_and_even_classes_score_their_number():
    logits = 100 * np.eye(4).repeat(5, axis=0)
    assert inception_scores(logits, 1) == [pytest.approx(4.0)]


def test_images_that_look_alike_score_one():
    assert inception_scores(np.tile([0.3, 2.0, -1.0], (20, 1)), 2) == [pytest.approx(1.0)] * 2


def test_equals_torch_fidelity(effnet_rows, fidelity_values):
    result = OverEffnet().compute(Measured({OverEffnet.produced().key: effnet_rows[1]["produced"]["logits"]}))
    assert result.value == pytest.approx(fidelity_values[KEY_METRIC_ISC_MEAN], rel=1e-4)
    assert result.params["split_std"] == pytest.approx(fidelity_values[KEY_METRIC_ISC_STD], rel=1e-4)
    assert result.value > 1.01


def test_without_splits_it_is_torch_fidelitys_with_one(effnet_rows):
    logits = effnet_rows[1]["produced"]["logits"]
    result = UnsplitOverEffnet().compute(Measured({UnsplitOverEffnet.produced().key: logits}))
    theirs = isc_features_to_metric(torch.from_numpy(logits), splits=1)
    assert result.value == pytest.approx(theirs[KEY_METRIC_ISC_MEAN], rel=1e-9)
    assert result.params["split_std"] == 0


def test_it_looks_at_the_produced_images_alone():
    assert InceptionScore().quantities() == (InceptionScore.produced(),)


def test_spoiled_photographs_score_less(effnet_rows):
    _, rows = effnet_rows
    first, second = (inception_scores(rows[side]["logits"], 1)[0] for side in ("reference", "produced"))
    assert first > second > 1


def test_fewer_images_than_splits():
    with pytest.raises(DataError, match="10 splits"):
        inception_scores(np.zeros((9, 3)), 10)


def test_the_protocol_tells_splits_apart():
    assert OverEffnet.protocol() | {"splits": 1} == UnsplitOverEffnet.protocol()
