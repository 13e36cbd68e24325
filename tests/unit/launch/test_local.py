import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from vtbench.errors import RunsFailedError
from vtbench.launch.local import MAX_SLOTS, log_path, num_slots, run_plan, worker_environment
from vtbench.schema.study import ResourceConfig
from vtbench.store.lock import RunLock
from vtbench.store.query import load_progress, load_record


def test_workers_keep_large_blocks_and_use_all_cores(monkeypatch):
    monkeypatch.delenv("OMP_NUM_THREADS", raising=False)
    monkeypatch.setenv("MALLOC_TOP_PAD_", "7")
    found = worker_environment(ResourceConfig())
    assert found["OMP_NUM_THREADS"] == str(len(os.sched_getaffinity(0)))
    assert found["MALLOC_MMAP_THRESHOLD_"] == "4294967296"
    assert found["MALLOC_TOP_PAD_"] == "7"


def test_threads_that_a_profile_fixes_stand_above_the_environment(monkeypatch):
    monkeypatch.setenv("OMP_NUM_THREADS", "7")
    assert worker_environment(ResourceConfig(num_threads=1))["OMP_NUM_THREADS"] == "1"
    assert worker_environment(ResourceConfig())["OMP_NUM_THREADS"] == "7"


def test_runs_share_the_cores_only_where_their_threads_are_known(monkeypatch):
    monkeypatch.setattr("vtbench.launch.local._cores", lambda: 6)
    assert num_slots(ResourceConfig()) == 1
    assert num_slots(ResourceConfig(device="cuda", num_threads=1)) == 1
    assert num_slots(ResourceConfig(num_threads=2)) == 3
    assert num_slots(ResourceConfig(num_threads=1)) == MAX_SLOTS
    assert num_slots(ResourceConfig(num_threads=8)) == 1


def test_never_more_at_once_than_slots(store, make_plan):
    plan = make_plan()
    events = []
    run_plan(store, plan, store.plan_path(plan.id), jobs=2, on_event=events.append)
    kinds = [event.kind for event in events if event.kind != "progress"]
    assert kinds == ["started", "started", "done", "done"]
    assert {record.status for run_id in plan.runs if (record := load_record(store, run_id))} == {"done"}


def test_a_run_is_made_once_and_a_failed_one_stops_no_other(store, make_plan):
    plan = make_plan()
    locked, free = plan.runs
    events = []
    lock = RunLock(store.lock_path(locked))
    lock.acquire()
    try:
        with pytest.raises(RunsFailedError) as caught:
            run_plan(store, plan, store.plan_path(plan.id), on_event=events.append)
    finally:
        lock.release()
    assert "1 of 2 runs failed" in str(caught.value)
    assert f"grid seed 0: Run {locked} is being written by process {os.getpid()}" in str(caught.value)
    assert str(log_path(store, locked)) in str(caught.value)
    kinds = [(event.run_id, event.kind) for event in events if event.kind != "progress"]
    assert kinds == [(locked, "started"), (locked, "failed"), (free, "started"), (free, "done")]
    done = events[-1].record
    assert done.status == "done"
    assert {"psnr", "mae"} <= {value.name for value in done.metrics}
    assert any(event.kind == "progress" for event in events)

    again = []
    before = store.record_path(free).stat().st_mtime_ns
    start = time.monotonic()
    run_plan(store, plan, store.plan_path(plan.id), [free], on_event=again.append)
    assert time.monotonic() - start < 1
    assert [event.kind for event in again] == ["reused"]
    assert store.record_path(free).stat().st_mtime_ns == before


def test_stopping_the_controller_leaves_a_run_that_can_go_on(store, make_plan):
    plan = make_plan(train__steps=100_000)
    run_id = next(iter(plan.runs))

    def terminate():
        wait_for(lambda: (found := load_progress(store, run_id)) and found.step > 2)
        os.kill(os.getpid(), signal.SIGTERM)

    thread = threading.Thread(target=terminate)
    thread.start()
    events = []
    with pytest.raises(KeyboardInterrupt):
        run_plan(store, plan, store.plan_path(plan.id), on_event=events.append)
    thread.join()
    assert events[-1].kind == "interrupted"
    assert load_record(store, run_id).status == "interrupted"
    assert list(store.checkpoint_dir(run_id).iterdir())
    assert load_record(store, list(plan.runs)[1]) is None


def test_a_worker_dies_with_its_controller(store, make_plan, tmp_path):
    plan = make_plan(train__steps=100_000)
    run_id = next(iter(plan.runs))
    code = (
        "import sys; from pathlib import Path\n"
        "from vtbench.launch.local import run_plan; from vtbench.store.layout import Store\n"
        "from vtbench.store.query import load_plan\n"
        "store = Store(Path(sys.argv[1])); plan = load_plan(store, sys.argv[2])\n"
        "run_plan(store, plan, store.plan_path(plan.id))"
    )
    with subprocess.Popen([sys.executable, "-c", code, str(store.root), plan.id]) as controller:
        wait_for(store.lock_path(run_id).exists)
        worker = json.loads(store.lock_path(run_id).read_text())["pid"]
        assert worker != controller.pid
        controller.kill()
    wait_for(lambda: not alive(worker), seconds=5)


def wait_for(condition, seconds=60):
    start = time.monotonic()
    while not condition():
        assert time.monotonic() - start < seconds, "waited too long"
        time.sleep(0.05)


def alive(pid):
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except OSError:
        return False
