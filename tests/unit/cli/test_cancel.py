import os
import signal

import pytest

from vtbench.launch import ledger
from vtbench.launch.local import controller_lock
from vtbench.store.layout import Store
from vtbench.store.lock import RunLock
from vtbench.store.query import load_plan, save_plan
from vtbench.study.expand import expand
from vtbench.study.load import load_study


@pytest.fixture
def plan(folder):
    plan = expand(load_study(folder / "studies" / "small.yaml"))
    save_plan(Store(folder / "runs"), plan)
    return plan


@pytest.fixture
def interrupted():
    """Take SIGTERM for the length of a test, and note it."""
    found = []
    before = signal.signal(signal.SIGTERM, lambda number, frame: found.append(number))
    yield found
    signal.signal(signal.SIGTERM, before)


def test_nothing_under_way(call, plan):
    result = call("cancel", "small")
    assert result.exit_code == 0
    assert result.stdout == "small@tiny: nothing is under way\n"


def test_what_is_not_there_is_named(call, plan):
    assert "no plan of 'smal'" in call("cancel", "smal").stderr
    result = call("cancel", "small", "zzz")
    assert result.exit_code == 2
    assert "small@tiny has no run 'zzz'." in result.stderr


def test_the_controller_here_is_asked_to_stop(call, plan, folder, interrupted):
    lock = RunLock(controller_lock(Store(folder / "runs"), plan.id))
    lock.acquire()
    result = call("cancel", "small")
    lock.release()
    assert "0 jobs cancelled, 1 processes asked to save and end" in result.stdout
    assert interrupted == [signal.SIGTERM]


def test_one_run_alone(call, plan, folder, interrupted):
    store = Store(folder / "runs")
    first, second = plan.runs
    locks = [RunLock(store.lock_path(first)), RunLock(controller_lock(store, plan.id))]
    for lock in locks:
        lock.acquire()
    assert "nothing is under way" in call("cancel", "small", second[:6]).stdout
    assert interrupted == []
    assert "1 processes" in call("cancel", "small", first[:6]).stdout
    assert interrupted == [signal.SIGTERM]
    for lock in locks:
        lock.release()


def test_jobs_are_cancelled(call, plan, folder, monkeypatch):
    store = Store(folder / "runs")
    made = ledger.plan_submission(store, load_plan(store, plan.id), list(plan.runs), folder)
    ledger.save(store, made, status="submitted", job_id="12")
    programs = folder / "programs"
    programs.mkdir()
    queue = f"12_0|{made.name}|RUNNING|None|node0\n12_1|{made.name}|COMPLETED|None|node0"
    for name, text in {"squeue": queue, "scancel": ""}.items():
        (programs / name).write_text(f"#!/bin/sh\necho {name} $@ >> {folder}/calls\necho '{text}'\n")
        (programs / name).chmod(0o755)
    monkeypatch.setenv("PATH", str(programs), prepend=os.pathsep)
    assert "1 jobs cancelled" in call("cancel", "small").stdout
    assert "scancel 12_0\n" in (folder / "calls").read_text()
