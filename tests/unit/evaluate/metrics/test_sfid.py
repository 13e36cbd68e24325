import numpy as np

from vtbench.evaluate.metric import Measured
from vtbench.evaluate.metrics.frechet import Rfid
from vtbench.evaluate.metrics.sfid import Sfid


def test_it_is_taken_over_the_map_of_places():
    for quantity in Sfid().quantities():
        assert quantity.row_shape == (7 * 17 * 17,)
        assert quantity.key != Rfid.produced().key


def test_a_shift_moves_it_by_its_square():
    reference = np.random.default_rng(0).normal(size=(20, 2023)).astype(np.float32)
    rows = {Sfid.reference().key: reference, Sfid.produced().key: reference + np.float32(0.5)}
    assert abs(Sfid().compute(Measured(rows)).value - 2023 * 0.25) < 1e-2
