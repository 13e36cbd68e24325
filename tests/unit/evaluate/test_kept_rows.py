"""Rows are joined from chunks, and found again from a stored value, without torch."""

import subprocess
import sys

import numpy as np
import pytest

from vtbench.errors import StoreError
from vtbench.evaluate.kept_rows import DIGEST, KeptRows, Rows, point_name, rows_of, write_index
from vtbench.schema.record import MetricValue

ROWS = {"a": np.arange(10.0), "b": np.arange(60, dtype=np.float32).reshape(10, 3, 2)}


def _write(kept, number, names=("a", "b")):
    part = slice(4 * number, 4 * number + 4)
    kept.write_chunk(kept.chunk_path(number, names), {name: ROWS[name][part] for name in names}, f"digest {number}")


def _value(**change):
    fields = {
        "name": "psnr",
        "metric_version": 1,
        "value": 1.0,
        "num_samples": 10,
        "params": {"resolution": "8x8", "num_tokens": None},
        "protocol": "abc",
        "checkpoint": "ema@3",
    }
    return MetricValue(**{**fields, **change})


def test_chunks_become_one_array_a_name(tmp_path):
    kept = KeptRows(tmp_path, {"weights": "one"}, 3)
    assert kept.digest(0) is None
    for number in (2, 0, 1):
        _write(kept, number)
    assert kept.in_chunk(1) == {"a", "b"}
    assert kept.digests() is None
    assert kept.digest(2) == "digest 2"
    kept.finish(["a", "b"], 10)
    for name, rows in ROWS.items():
        found = np.load(kept.path(name))
        assert found.dtype == rows.dtype
        assert np.array_equal(found, rows)
    assert kept.complete(["a", "b", "c"]) == {"a", "b"}
    assert kept.digests() == ["digest 0", "digest 1", "digest 2"]
    assert kept.in_chunk(1) == set()
    assert kept.digest(1) == "digest 1"
    kept.finish(["a", "b"], 10)  # a process that comes later finds nothing to do


def test_rows_of_a_chunk_may_come_in_parts(tmp_path):
    kept = KeptRows(tmp_path, {}, 3)
    for number in range(3):
        _write(kept, number, ["a"])
        _write(kept, number, ["b"])
    assert kept.in_chunk(0) == {"a", "b"}
    kept.finish(["a", "b"], 10)
    assert np.array_equal(np.load(kept.path("b")), ROWS["b"])


def test_later_rows_join_those_that_are_there(tmp_path):
    kept = KeptRows(tmp_path, {}, 3)
    for names in (["a"], ["b"]):
        for number in range(3):
            _write(kept, number, names)
        kept.finish(names, 10)
    assert kept.complete(["a", "b"]) == {"a", "b"}


def test_missing_rows_are_not_made_up(tmp_path):
    kept = KeptRows(tmp_path, {}, 3)
    _write(kept, 0)
    _write(kept, 2)
    with pytest.raises(StoreError, match="6 of 10 rows of a"):
        kept.finish(["a"], 10)
    assert kept.complete(["a"]) == set()


def test_what_decides_the_rows_decides_the_folder(tmp_path):
    one, two, parts = (KeptRows(tmp_path, about, n) for about, n in (({"w": 1}, 3), ({"w": 2}, 3), ({"w": 1}, 4)))
    assert len({one.folder, two.folder, parts.folder}) == 3
    _write(one, 0)
    assert two.in_chunk(0) == set()
    one.forget()
    assert one.in_chunk(0) == set()


def test_a_broken_chunk_says_so(tmp_path):
    kept = KeptRows(tmp_path, {}, 1)
    _write(kept, 0)
    (path,) = kept._chunks.glob("*.npz")
    path.write_bytes(path.read_bytes()[:100])
    with pytest.raises(StoreError, match="Delete it"):
        kept.in_chunk(0)


def test_a_chunk_that_another_process_has_joined_is_no_error(tmp_path, monkeypatch):
    kept = KeptRows(tmp_path, {}, 1)
    monkeypatch.setattr(kept, "_files", lambda number: [tmp_path / "gone.npz"])
    assert kept.in_chunk(0) == set()
    assert kept.digest(0) is None


def test_rows_are_found_from_a_value(tmp_path):
    point = tmp_path / "runs" / "r" / "measured" / point_name("8x8", None)
    kept = KeptRows(point, {}, 3)
    for number in range(3):
        _write(kept, number)
    kept.finish(["a", "b"], 10)
    parts = [tmp_path / "cache" / f"{number}.npy" for number in range(2)]
    for number, path in enumerate(parts):
        path.parent.mkdir(exist_ok=True)
        np.save(path, ROWS["a"][5 * number : 5 * number + 5])
    value = _value()
    write_index(kept.folder, value, {"psnr": [kept.path("b")], "reference": parts}, {"slope": 2.0})
    found = rows_of(point, value)
    assert set(found) == {"psnr", "reference"}
    assert isinstance(found["psnr"], np.memmap)
    assert np.array_equal(found["psnr"], ROWS["b"])
    assert np.array_equal(found["reference"], ROWS["a"])
    assert rows_of(point, _value(value=2.0)) is not None  # the number itself is no part of its key
    for change in ({"metric_version": 2}, {"protocol": "abd"}, {"checkpoint": "ema@4"}):
        assert rows_of(point, _value(**change)) is None
    parts[1].unlink()
    assert rows_of(point, value) is None
    with pytest.raises(StoreError, match=r"1\.npy is gone"):
        found["reference"]


def test_names_of_points():
    assert point_name("8x16", None) == "8x16_Lfull"
    assert point_name("8x16", 32) == "8x16_L32"
    assert list(Rows({"a": []})) == ["a"]
    assert DIGEST not in ROWS


def test_reports_can_read_rows_without_torch():
    code = "import sys, vtbench.evaluate.kept_rows; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
