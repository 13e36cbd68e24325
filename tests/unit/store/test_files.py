import errno
import os
import signal
import subprocess
import sys
import time

import pytest

from vtbench.errors import DiskFullError, StoreError
from vtbench.store.files import (
    append_line,
    disk_errors,
    read_json,
    read_lines,
    replacing,
    sync_file,
    sync_folder,
    write_atomic,
)

ENDLESS_WRITER = """
import json, sys
from pathlib import Path
from vtbench.store.files import append_line, write_atomic
folder, number = Path(sys.argv[1]), 0
while True:
    number += 1
    write_atomic(folder / "record.json", json.dumps([number] * 20000), sync=False)
    append_line(folder / "log.jsonl", json.dumps([number] * 2000))
"""


def test_replaces_and_leaves_nothing_else(tmp_path):
    path = tmp_path / "new" / "a.txt"
    write_atomic(path, "one")
    write_atomic(path, b"two")
    assert path.read_bytes() == b"two"
    assert list(path.parent.iterdir()) == [path]


def test_a_failed_replacement_keeps_the_old_file(tmp_path):
    path = tmp_path / "a.txt"
    write_atomic(path, "old")

    def fail() -> None:
        with replacing(path) as file:
            file.write(b"ne")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_lines_are_appended_and_a_torn_one_is_cut_off(tmp_path):
    path = tmp_path / "log"
    assert read_lines(path) == []
    append_line(path, "one")
    append_line(path, "two")
    with path.open("a") as file:
        file.write("thr")
    assert read_lines(path) == ["one", "two"]
    append_line(path, "four")
    assert path.read_text() == "one\ntwo\nfour\n"


def test_a_log_that_is_one_torn_line_starts_again(tmp_path):
    path = tmp_path / "log"
    path.write_text('{"st')
    assert read_lines(path) == []
    append_line(path, "one")
    assert path.read_text() == "one\n"


def test_a_line_is_one_line(tmp_path):
    with pytest.raises(ValueError, match="line break"):
        append_line(tmp_path / "log", "a\nb")


@pytest.mark.parametrize(("content", "said"), [(b'{"a": 1,\n', "a.json:2: not JSON"), (b"\xff", "not a text file")])
def test_a_broken_file_is_named(tmp_path, content, said):
    path = tmp_path / "a.json"
    path.write_bytes(content)
    with pytest.raises(StoreError, match=said):
        read_json(path)


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(StoreError, match=r"a\.json does not exist"):
        read_json(tmp_path / "a.json")


def test_kill_leaves_whole_files(tmp_path):
    for wait in (0.05, 0.11, 0.17):
        writer = subprocess.Popen([sys.executable, "-c", ENDLESS_WRITER, str(tmp_path)])
        deadline = time.monotonic() + 20
        while not (tmp_path / "log.jsonl").exists() and time.monotonic() < deadline:
            time.sleep(0.01)
        time.sleep(wait)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        numbers = read_json(tmp_path / "record.json")
        assert len(numbers) == 20000
        assert len(set(numbers)) == 1
        lines = read_lines(tmp_path / "log.jsonl")
        assert lines
        assert all(line.startswith("[") and line.endswith("]") for line in lines)
        (tmp_path / "log.jsonl").unlink()


@pytest.mark.parametrize(
    ("number", "kind", "said"),
    [
        (errno.ENOSPC, DiskFullError, "the disk is full"),
        (errno.EDQUOT, DiskFullError, "the disk is full"),
        (errno.EROFS, StoreError, "read-only"),
        (errno.EACCES, StoreError, "Change the permissions"),
        (errno.ESTALE, StoreError, "its folder is gone or its disk does not answer"),
        (errno.EMFILE, StoreError, "cannot be used"),
    ],
)
def test_what_a_disk_did_is_named(tmp_path, number, kind, said):
    path = tmp_path / "a.txt"
    write_atomic(path, "old")

    def fail():
        with replacing(path):
            raise OSError(number, os.strerror(number))

    with pytest.raises(kind, match=said) as caught:
        fail()
    assert type(caught.value) is kind
    assert str(path) in str(caught.value)
    assert (path.read_text(), list(tmp_path.iterdir())) == ("old", [path])


def test_an_error_of_another_file_is_not_laid_at_this_ones_door(tmp_path):
    with pytest.raises(FileNotFoundError), disk_errors(tmp_path / "a" / "b.txt"):
        (tmp_path / "elsewhere" / "c.txt").read_text()


def test_a_folder_that_is_gone_is_made_only_where_that_is_asked_for(tmp_path):
    path = tmp_path / "run" / "part" / "a.txt"
    with pytest.raises(StoreError, match="its folder is gone"):
        write_atomic(path, "x", parents=False)
    with pytest.raises(StoreError, match="its folder is gone"):
        append_line(path, "x", parents=False)
    assert not (tmp_path / "run").exists()
    write_atomic(path, "x")
    append_line(path.with_name("log"), "x", parents=False)
    sync_file(path)
    sync_file(tmp_path / "none")
    sync_folder(tmp_path)
