import numpy as np
import pytest

from vtbench import distributed
from vtbench.data.order import StepOrder
from vtbench.errors import DataError


def test_every_epoch_is_a_permutation_without_a_gap():
    order = StepOrder(5, 2, seed=0)
    seen = [index for step in range(5) for index in order.indices(step)]
    assert sorted(seen[:5]) == sorted(seen[5:]) == list(range(5))
    assert seen[:5] != seen[5:]
    assert StepOrder(5, 2, seed=0).indices(3) == order.indices(3)
    assert StepOrder(500, 200, seed=1).indices(0) != StepOrder(500, 200, seed=0).indices(0)


def test_processes_share_the_places(monkeypatch):
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    found = []
    for rank in range(2):
        monkeypatch.setattr(distributed, "rank", lambda rank=rank: rank)
        found += StepOrder(5, 4, seed=0).places()
    assert found == list(range(4))


def test_a_batch_that_cannot_be_shared_is_refused_by_its_sections_name():
    with pytest.raises(DataError, match=r"generator\.train\.batch_size is 5.*generator\.train\.grad_accumulation"):
        StepOrder(5, 5, 0, 2, "generator.train")
    assert np.ptp(StepOrder(5, 4, 0, 2).indices(0)) < 5
