import json
import os
import signal
import subprocess
import sys
import threading
import time

import pytest

from vtbench.errors import RunsFailedError
from vtbench.launch.local import controller_lock, run_plan
from vtbench.launch.outcome import log_path
from vtbench.store.lock import RunLock
from vtbench.store.query import load_progress, load_record


@pytest.mark.slow
def test_never_more_at_once_than_slots(store, make_plan):
    plan = make_plan()
    events = []
    run_plan(store, plan, store.plan_path(plan.id), jobs=2, on_event=events.append)
    kinds = [event.kind for event in events if event.kind != "progress"]
    assert kinds == ["started", "started", "done", "done"]
    assert {record.status for run_id in plan.runs if (record := load_record(store, run_id))} == {"done"}


@pytest.mark.slow
def test_a_failed_run_stops_no_other_and_what_is_done_is_left_alone(store, make_plan):
    plan = make_plan()
    broken, free = plan.runs
    store.record_path(broken).parent.mkdir(parents=True)
    store.checkpoint_dir(broken).write_text("a file where a folder should be")
    events = []
    with pytest.raises(RunsFailedError) as caught:
        run_plan(store, plan, store.plan_path(plan.id), on_event=events.append)
    assert "1 of 2 runs failed" in str(caught.value)
    assert "grid seed 0: " in str(caught.value)
    assert str(log_path(store, broken)) in str(caught.value)
    kinds = [(event.run_id, event.kind) for event in events if event.kind != "progress"]
    assert kinds == [(broken, "started"), (broken, "failed"), (free, "started"), (free, "done")]
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

    store.checkpoint_dir(broken).unlink()
    rest = []
    run_plan(store, plan, store.plan_path(plan.id), retry="none", on_event=rest.append)
    assert [event.kind for event in rest] == ["reused"]
    run_plan(store, plan, store.plan_path(plan.id), retry="failed", on_event=rest.append)
    assert [(e.run_id, e.kind) for e in rest if e.kind in ("started", "done")] == [
        (broken, "started"),
        (broken, "done"),
    ]


@pytest.mark.slow
def test_a_run_that_another_process_writes_is_waited_for(store, make_plan):
    plan = make_plan()
    locked, free = plan.runs
    lock = RunLock(store.lock_path(locked))
    lock.acquire()
    events = []

    def take(event):
        events.append(event)
        if event.kind == "done" and event.run_id == free:
            lock.release()

    run_plan(store, plan, store.plan_path(plan.id), on_event=take)
    kinds = [(event.run_id, event.kind) for event in events if event.kind != "progress"]
    assert kinds == [(locked, "queued"), (free, "started"), (free, "done"), (locked, "started"), (locked, "done")]
    assert f"process {os.getpid()}" in events[0].cause


def test_the_second_controller_of_a_plan_waits_for_the_first(store, make_plan):
    plan = make_plan()
    lock = RunLock(controller_lock(store, plan.id))
    lock.acquire()
    told = []

    def wait(text):
        told.append(text)
        lock.release()

    run_plan(store, plan, store.plan_path(plan.id), [], on_wait=wait)
    assert len(told) == 1
    assert f"process {os.getpid()}" in told[0]


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


@pytest.mark.slow
def test_a_generator_waits_for_its_tokenizer_though_slots_are_free(store, make_generator_plan):
    plan = make_generator_plan()
    first, second = (plan.runs[cell.run_id] for cell in plan.cells)
    events = []
    run_plan(store, plan, store.plan_path(plan.id), jobs=4, on_event=events.append)
    told = [(event.run_id, event.kind) for event in events if event.kind in ("started", "done")]
    for spec in (first, second):
        assert told.index((spec.needs[0], "done")) < told.index((spec.run_id, "started"))
    assert told[:2] == [(first.needs[0], "started"), (second.needs[0], "started")]
    record = load_record(store, first.run_id)
    assert [stage.name for stage in record.stages if stage.status == "done"][:2] == ["cache_tokens", "train_generator"]
    assert load_record(store, first.needs[0]).stage("train_tokenizer").status == "done"


@pytest.mark.slow
def test_a_failed_tokenizer_fails_its_generator_alone_and_says_why(store, make_generator_plan):
    plan = make_generator_plan()
    first, second = (plan.runs[cell.run_id] for cell in plan.cells)
    store.record_path(first.needs[0]).parent.mkdir(parents=True)
    store.checkpoint_dir(first.needs[0]).write_text("a file where a folder should be")
    events = []
    with pytest.raises(RunsFailedError) as caught:
        run_plan(store, plan, store.plan_path(plan.id), on_event=events.append)
    assert "2 of 4 runs failed" in str(caught.value)
    assert "grid seed 0: it needs tokenizer of grid seed 0, which was not made: " in str(caught.value)
    assert (first.run_id, "started") not in [(event.run_id, event.kind) for event in events]
    assert load_record(store, second.run_id).status == "done"
