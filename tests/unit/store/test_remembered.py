import json

import pytest

from vtbench.store import remembered
from vtbench.store.remembered import Remembered, code_hash


@pytest.fixture
def cache_dir(tmp_path):
    (tmp_path / "runs").mkdir()
    return tmp_path / "runs" / "cache"


def test_what_is_put_is_there_for_the_next(cache_dir):
    first = Remembered(cache_dir)
    assert first.get("a") is None
    assert first.put("a", (1, 2.5, "x")) == [1, 2.5, "x"]
    assert first.get("a") == [1, 2.5, "x"]
    assert Remembered(cache_dir).get("a") is None, "nothing is written before the end"
    first.save()
    assert Remembered(cache_dir).get("a") == [1, 2.5, "x"]


def test_two_that_write_keep_what_both_found(cache_dir):
    one, other = Remembered(cache_dir), Remembered(cache_dir)
    one.put("a", 1)
    other.put("b", 2)
    one.save()
    other.save()
    assert [Remembered(cache_dir).get(key) for key in "ab"] == [1, 2]


def test_what_other_code_has_a_part_in_is_held_by_the_object_alone(cache_dir):
    first = Remembered(cache_dir)
    first.put("a", 1, keep=False)
    first.save()
    assert first.get("a") == 1
    assert Remembered(cache_dir).get("a") is None


def test_other_code_remembers_nothing_of_this(cache_dir, monkeypatch):
    first = Remembered(cache_dir)
    first.put("a", 1)
    first.save()
    monkeypatch.setattr(remembered, "code_hash", lambda: "0123456789abcdef")
    assert Remembered(cache_dir).get("a") is None


def test_the_hash_of_the_code_follows_its_files(tmp_path, monkeypatch):
    before = code_hash()
    package = tmp_path / "vtbench"
    package.mkdir()
    (package / "__init__.py").write_text("")
    monkeypatch.setattr(remembered.vtbench, "__file__", str(package / "__init__.py"))
    seen = {before}
    for name, text in (("a.py", "x = 1"), ("a.py", "x = 2"), ("b.py", "x = 2")):
        (package / name).write_text(text)
        code_hash.cache_clear()
        seen.add(code_hash())
    code_hash.cache_clear()
    assert len(seen) == 4


def test_files_of_old_code_are_deleted(cache_dir, monkeypatch):
    for number in range(6):
        monkeypatch.setattr(remembered, "code_hash", lambda number=number: f"{number}")
        one = Remembered(cache_dir)
        one.put("a", number)
        one.save()
    assert len(list((cache_dir / "remembered").iterdir())) == 4
    assert Remembered(cache_dir).get("a") == 5


def test_without_a_store_nothing_is_written(tmp_path):
    one = Remembered(tmp_path / "runs" / "cache")
    one.put("a", 1)
    one.save()
    assert not (tmp_path / "runs").exists()
    assert Remembered(None).get("a") is None


@pytest.mark.parametrize("text", ["", "{", "[1]", '{"a": 1'])
def test_a_broken_file_holds_nothing_and_is_replaced(cache_dir, text):
    folder = cache_dir / "remembered"
    folder.mkdir(parents=True)
    (folder / f"{code_hash()}.json").write_text(text)
    one = Remembered(cache_dir)
    assert one.get("a") is None
    one.put("a", 1)
    one.save()
    assert json.loads((folder / f"{code_hash()}.json").read_text()) == {"a": 1}


def test_a_folder_that_cannot_be_written_is_no_error(cache_dir):
    cache_dir.mkdir()
    (cache_dir / "remembered").write_text("a file is in the way")
    one = Remembered(cache_dir)
    one.put("a", 1)
    one.save()
    assert one.get("a") == 1
