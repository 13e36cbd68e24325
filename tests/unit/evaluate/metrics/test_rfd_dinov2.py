import numpy as np
import pytest

from vtbench.errors import WeightsError
from vtbench.evaluate.metric import Measured
from vtbench.evaluate.metrics.rfd_dinov2 import RfdDinov2


def test_it_is_taken_over_dinov2():
    assert {quantity.key for quantity in RfdDinov2().quantities()} == {
        "features/dinov2/pooled/reference",
        "features/dinov2/pooled/produced",
    }
    rows = np.random.default_rng(0).normal(size=(10, 1024)).astype(np.float32)
    measured = Measured({RfdDinov2.reference().key: rows, RfdDinov2.produced().key: rows + np.float32(1)})
    assert abs(RfdDinov2().compute(measured).value - 1024) < 0.1


def test_the_missing_file_is_told_before_anything_runs(tmp_path, monkeypatch):
    monkeypatch.setenv("VTBENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(WeightsError, match=r"dinov2_vitl14_pretrain\.pth is missing"):
        RfdDinov2.check()
