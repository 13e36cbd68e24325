import json
import os
import subprocess
import sys
import time

import pytest

from vtbench.errors import RunLockedError, StoreError
from vtbench.store.lock import RunLock, live_holder

HOLD = """
import sys, time
from pathlib import Path
from vtbench.store.lock import RunLock
RunLock(Path(sys.argv[1]), heartbeat_seconds=0.1).acquire()
print("held", flush=True)
time.sleep(60)
"""


@pytest.fixture
def path(tmp_path):
    return tmp_path / "run1" / "lock"


@pytest.fixture
def other(path):
    process = subprocess.Popen([sys.executable, "-c", HOLD, str(path)], stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "held\n"
    yield process
    process.kill()
    process.wait()
    process.stdout.close()


def test_acquire_and_release(path):
    lock = RunLock(path)
    lock.acquire()
    holder = live_holder(path)
    assert holder is not None
    assert holder.pid == os.getpid()
    lock.check()
    lock.release()
    assert live_holder(path) is None
    assert not path.exists()


def test_a_live_process_is_named(path, other):
    with pytest.raises(RunLockedError, match=rf"run1 is being written by process {other.pid} on \S"):
        RunLock(path).acquire()


def test_a_second_lock_of_the_same_process_is_refused(path):
    first = RunLock(path)
    first.acquire()
    with pytest.raises(RunLockedError, match=str(os.getpid())):
        RunLock(path).acquire()
    first.release()


def test_a_dead_process_is_taken_over_from(path, other):
    other.kill()
    other.wait()
    assert live_holder(path) is None
    lock = RunLock(path)
    lock.acquire()
    lock.release()


def test_a_killed_process_that_nobody_waited_for_is_dead(path, other):
    other.kill()
    deadline = time.monotonic() + 10
    while live_holder(path) is not None and time.monotonic() < deadline:
        time.sleep(0.02)
    assert live_holder(path) is None


def test_another_process_with_the_same_pid_does_not_hold_it(path):
    path.parent.mkdir()
    path.write_text(json.dumps({"pid": os.getpid(), "host": os.uname().nodename, "started": "1", "token": "x"}))
    lock = RunLock(path)
    lock.acquire()
    lock.release()


def test_another_host_counts_as_alive_until_its_heartbeat_is_old(path):
    path.parent.mkdir()
    path.write_text(json.dumps({"pid": 1, "host": "elsewhere", "started": "1", "token": "x"}))
    with pytest.raises(RunLockedError, match="process 1 on elsewhere"):
        RunLock(path).acquire()
    old = time.time() - 61
    os.utime(path, (old, old))
    lock = RunLock(path)
    lock.acquire()
    lock.release()


def test_a_host_that_was_booted_again_or_another_of_its_name_is_judged_by_its_heartbeat(path):
    """Its process number means nothing here: neither that it lives nor that it is dead."""
    path.parent.mkdir()
    for boot in ("another boot pid:[1]", "another machine's"):
        holder = {"pid": 2**22 - 1, "host": os.uname().nodename, "started": "1", "token": "x", "boot": boot}
        path.write_text(json.dumps(holder))
        with pytest.raises(RunLockedError, match=f"process {2**22 - 1}"):
            RunLock(path).acquire()
    old = time.time() - 61
    os.utime(path, (old, old))
    lock = RunLock(path)
    lock.acquire()
    lock.release()


def test_who_slept_for_too_long_finds_out_before_it_writes(path):
    lock = RunLock(path, heartbeat_seconds=1000, stale_seconds=0.1)  # its thread sleeps as the process would
    lock.acquire()
    lock.check()
    time.sleep(0.06)
    before = path.stat().st_mtime_ns
    lock.check()
    assert path.stat().st_mtime_ns > before  # still its own: it shows that it lives
    path.write_text(json.dumps({"pid": 1, "host": "elsewhere", "started": "1", "token": "x"}))
    time.sleep(0.06)
    with pytest.raises(RunLockedError, match="taken over"):
        lock.check()
    lock.release()


def test_a_disk_that_does_not_answer_is_said_when_it_matters(path, tmp_path):
    lock = RunLock(path, heartbeat_seconds=0.01, stale_seconds=0.2)
    lock.acquire()
    path.parent.rename(tmp_path / "away")
    lock.check()  # it may come back
    time.sleep(0.15)
    with pytest.raises(StoreError, match="its folder is gone"):
        lock.check()
    (tmp_path / "away").rename(path.parent)
    time.sleep(0.1)
    lock.check()
    lock.release()
    assert not path.exists()


def test_an_unreadable_lock_has_no_holder(path):
    path.parent.mkdir()
    path.write_text("")
    lock = RunLock(path)
    lock.acquire()
    lock.release()


def test_the_heartbeat_keeps_it(path):
    lock = RunLock(path, heartbeat_seconds=0.02)
    lock.acquire()
    old = time.time() - 1000
    os.utime(path, (old, old))
    deadline = time.monotonic() + 10
    while live_holder(path) is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert live_holder(path) is not None
    lock.release()


def test_who_lost_it_is_told_and_does_not_release_the_new_holders(path):
    lock = RunLock(path, heartbeat_seconds=0.02)
    lock.acquire()
    taken = {"pid": 1, "host": "elsewhere", "started": "1", "token": "x"}
    path.write_text(json.dumps(taken))
    deadline = time.monotonic() + 10
    while lock._thread.is_alive() and time.monotonic() < deadline:
        time.sleep(0.01)
    with pytest.raises(RunLockedError, match="taken over"):
        lock.check()
    lock.release()
    assert json.loads(path.read_text()) == taken
