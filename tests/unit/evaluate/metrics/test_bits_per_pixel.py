import numpy as np
import pytest

from vtbench.errors import DataError
from vtbench.evaluate.metric import CODES, Measured
from vtbench.evaluate.metrics.bits_per_pixel import BitsPerPixel


def _rate(shape, sizes, size):
    rows = {CODES.key: np.zeros(shape, dtype=np.int32)}
    return BitsPerPixel().compute(Measured(rows, codebook_sizes=sizes, size=size))


def test_known_rates():
    assert _rate((2, 1, 32), (4096,), (256, 256)).value == pytest.approx(32 * 12 / 65536)
    assert _rate((2, 2, 10), (8, 1024), (16, 20)).value == pytest.approx(10 * 13 / 320)


def test_bits_are_not_rounded_up():
    result = _rate((1, 1, 256), (64000,), (256, 256))
    assert result.params["bits_per_image"] == pytest.approx(256 * np.log2(64000))
    assert result.params["bits_per_image"] < 256 * 16


def test_more_tokens_cost_more():
    assert not BitsPerPixel.higher_is_better
    assert _rate((1, 1, 64), (512,), (64, 64)).value > _rate((1, 1, 32), (512,), (64, 64)).value


@pytest.mark.parametrize(("sizes", "size"), [(None, (8, 8)), ((4,), None)])
def test_unknown_sizes(sizes, size):
    with pytest.raises(DataError, match="Rate needs"):
        _rate((1, 1, 4), sizes, size)
