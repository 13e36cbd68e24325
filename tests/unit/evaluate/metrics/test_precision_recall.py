"""Precision and recall have known answers and are torch-fidelity's."""

import numpy as np
import pytest

from vtbench.errors import DataError
from vtbench.evaluate.metric import Measured
from vtbench.evaluate.metrics import precision_recall
from vtbench.evaluate.metrics.precision_recall import Precision, PrecisionEffnet, RecallEffnet, covered


def _values(reference, produced):
    keys = (PrecisionEffnet.reference().key, PrecisionEffnet.produced().key)
    measured = Measured(dict(zip(keys, (reference, produced), strict=True)))
    return tuple(metric().compute(measured).value for metric in (PrecisionEffnet, RecallEffnet))


def test_balls_reach_to_the_third_neighbour():
    centres = np.array([[0.0], [1.0], [2.0], [3.0]])
    # the third neighbours are 3, 2, 2 and 3 away
    inside = covered(np.array([[-3.0], [-3.01], [6.0], [6.01], [1.5]]), centres)
    assert inside.tolist() == [True, False, True, False, True]


def test_a_collapsed_model_is_precise_and_recalls_little():
    draw = np.random.default_rng(0)
    reference = draw.normal(size=(200, 4))
    collapsed = reference[:1] + 1e-3 * draw.normal(size=(50, 4))
    precision, recall = _values(reference, collapsed)
    assert precision == 1.0
    assert recall < 0.05


def test_rows_in_parts_make_no_difference(monkeypatch):
    draw = np.random.default_rng(0)
    points, centres = draw.normal(size=(50, 3)), draw.normal(size=(40, 3))
    whole = covered(points, centres)
    monkeypatch.setattr(precision_recall, "_ROWS", 7)
    assert (covered(points, centres) == whole).all()
    assert 0 < whole.mean() < 1


def test_equals_torch_fidelity(effnet_rows, fidelity_values):
    _, rows = effnet_rows
    values = _values(rows["reference"]["pooled"], rows["produced"]["pooled"])
    assert values == pytest.approx((fidelity_values["precision"], fidelity_values["recall"]), rel=1e-4)
    assert 0 < values[0] < 1


def test_the_same_images_are_covered(effnet_rows):
    reference = effnet_rows[1]["reference"]["pooled"]
    assert _values(reference, reference) == (1.0, 1.0)


def test_images_without_neighbours():
    with pytest.raises(DataError, match="more than 3"):
        covered(np.zeros((5, 2)), np.zeros((3, 2)))


def test_the_reach_is_part_of_the_protocol():
    assert PrecisionEffnet.protocol()["neighbours"] == 3
    assert Precision.network == "inception"
