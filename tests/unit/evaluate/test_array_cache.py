"""Arrays come back as they were written, or not at all."""

import numpy as np
import pytest

from vtbench.errors import StoreError
from vtbench.evaluate.array_cache import load_array, save_array


def test_round_trip(tmp_path):
    path = tmp_path / "new" / "array.npy"
    assert load_array(path) is None
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    save_array(path, array)
    found = load_array(path)
    assert found.dtype == np.float32
    assert np.array_equal(found, array)
    assert [file.name for file in path.parent.iterdir()] == ["array.npy"]


@pytest.mark.parametrize("content", [b"", b"\x93NUMPY", b"not an array"])
def test_what_is_no_array_is_an_error(tmp_path, content):
    path = tmp_path / "array.npy"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=r"array\.npy"):
        load_array(path)


def test_pickles_are_refused(tmp_path):
    path = tmp_path / "array.npy"
    np.save(path, np.array([{"a": 1}], dtype=object), allow_pickle=True)
    with pytest.raises(StoreError):
        load_array(path)
