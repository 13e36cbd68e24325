"""Arrays come back as they were written, or not at all; two processes make one once."""

import errno
import fcntl
import logging
import signal
import subprocess
import sys
import threading
import time

import numpy as np
import pytest

from vtbench.errors import StoreError
from vtbench.evaluate.array_cache import load_array, making, save_array

HOLD = """
import fcntl, os, sys, time
descriptor = os.open(sys.argv[1], os.O_RDWR | os.O_CREAT)
fcntl.flock(descriptor, fcntl.LOCK_EX)
print("held", flush=True)
time.sleep(60)
"""


def test_round_trip(tmp_path):
    path = tmp_path / "new" / "array.npy"
    assert load_array(path) is None
    array = np.arange(6, dtype=np.float32).reshape(2, 3)
    save_array(path, array)
    found = load_array(path)
    assert found.dtype == np.float32
    assert np.array_equal(found, array)
    assert [file.name for file in path.parent.iterdir()] == ["array.npy"]
    mapped = load_array(path, mapped=True)
    assert isinstance(mapped, np.memmap)
    assert not mapped.flags.writeable
    assert np.array_equal(mapped, array)


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


def _make_once(path, made, ready=None):
    with making(path):
        if load_array(path) is None:
            if ready is not None:
                ready.set()
                time.sleep(0.1)
            made.append(threading.get_ident())
            save_array(path, np.zeros(2))


def test_who_comes_second_waits_and_finds_it_made(tmp_path):
    path, made, ready = tmp_path / "array.npy", [], threading.Event()
    first = threading.Thread(target=_make_once, args=(path, made, ready))
    first.start()
    ready.wait()
    _make_once(path, made)
    first.join()
    assert made == [first.ident]
    _make_once(path, made)
    assert len(made) == 1
    assert [file.name for file in tmp_path.iterdir()] == ["array.npy"]  # the lock has gone


def test_many_at_once_make_it_once(tmp_path):
    path, made = tmp_path / "array.npy", []
    threads = [threading.Thread(target=_make_once, args=(path, made)) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(made) == 1


def test_a_holder_that_dies_is_followed_by_who_waits(tmp_path):
    path, made = tmp_path / "array.npy", []
    command = [sys.executable, "-c", HOLD, str(tmp_path / ".array.npy.lock")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout.readline() == "held\n"
        waiting = threading.Thread(target=_make_once, args=(path, made))
        waiting.start()
        waiting.join(0.2)
        assert made == []
        holder.send_signal(signal.SIGKILL)
        waiting.join(30)
    assert made == [waiting.ident]


def test_a_disk_without_locks_does_not_stop_the_work(tmp_path, monkeypatch, caplog):
    def refuse(descriptor, operation):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr(fcntl, "flock", refuse)
    made = []
    with caplog.at_level(logging.WARNING):
        _make_once(tmp_path / "array.npy", made)
    assert len(made) == 1
    assert "cannot be locked" in caplog.text


def test_an_error_while_making_is_not_swallowed_and_frees_the_lock(tmp_path):
    path, made = tmp_path / "array.npy", []
    with pytest.raises(KeyError), making(path):
        raise KeyError
    _make_once(path, made)
    assert len(made) == 1
