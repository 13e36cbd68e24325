import threading
import time

import pytest

from vtbench.errors import RunsFailedError
from vtbench.launch import ledger, watch
from vtbench.launch.attempt import Attempt, save_attempts
from vtbench.launch.watch import watch_plan
from vtbench.store.lock import RunLock

POLL = 0.05


@pytest.fixture
def plan(make_plan):
    return make_plan()


@pytest.fixture
def submission(store, plan, tmp_path):
    made = ledger.plan_submission(store, plan, list(plan.runs), tmp_path)
    return ledger.save(store, made, status="submitted", job_id="12")


def attempt(**fields):
    return Attempt(job_id="12_0", host="node7", pid=4, started=time.time(), **fields)


def test_it_tells_of_each_change_once_and_ends_with_the_last_job(store, plan, submission, fake_slurm):
    first, second = submission.run_ids
    events, seen = [], []

    def take(event):
        seen.append(event)
        if event.kind == "progress":
            return
        events.append((event.run_id, event.kind))
        if event.kind == "started" and event.run_id == first:
            save_attempts(store, submission.name, first, (attempt(ended=1.0, code=130, requeued=True),))
            fake_slurm.says("squeue", f"12_0|{submission.name}|PENDING|BeginTime|")
        elif event.kind == "queued":
            done = attempt(ended=2.0, code=0)
            save_attempts(store, submission.name, first, (done,))
            save_attempts(store, submission.name, second, (done,))

    fake_slurm.says("squeue", f"12_0|{submission.name}|RUNNING|None|node7\n12_1|{submission.name}|PENDING|x|")
    watch_plan(store, plan, [first, second], poll_seconds=POLL, on_event=take)
    assert events == [(first, "started"), (first, "queued"), (first, "done"), (second, "done")]
    assert seen[0].place == "job 12_0 on node7"


def test_failures_are_reported_together(store, plan, submission, fake_slurm):
    first, second = submission.run_ids
    save_attempts(store, submission.name, first, (attempt(ended=1.0, code=1, cause="no images"),))
    fake_slurm.says("squeue", f"12_1|{submission.name}|CANCELLED|None|")
    with pytest.raises(RunsFailedError) as caught:
        watch_plan(store, plan, [first, second], poll_seconds=POLL)
    assert "grid seed 0: no images" in str(caught.value)
    assert "rope seed 0: cancelled" in str(caught.value)


def test_the_exit_file_may_come_late(store, plan, submission, fake_slurm, monkeypatch):
    monkeypatch.setattr(watch, "GONE_SECONDS", 5.0)
    first, _ = submission.run_ids
    save_attempts(store, submission.name, first, (attempt(),))
    done = (attempt(ended=2.0, code=0),)
    threading.Timer(0.5, lambda: save_attempts(store, submission.name, first, done)).start()
    watch_plan(store, plan, [first], poll_seconds=POLL)
    monkeypatch.setattr(watch, "GONE_SECONDS", 0.0)
    save_attempts(store, submission.name, first, (attempt(),))
    with pytest.raises(RunsFailedError, match="left no word"):
        watch_plan(store, plan, [first], poll_seconds=POLL)


def test_a_run_that_is_made_elsewhere_is_waited_for(store, plan):
    first = next(iter(plan.runs))
    lock = RunLock(store.lock_path(first))
    lock.acquire()
    threading.Timer(0.3, lock.release).start()
    with pytest.raises(RunsFailedError, match="outside the cluster"):
        watch_plan(store, plan, [first], poll_seconds=POLL)


def test_a_job_that_is_no_longer_wanted_is_cancelled_once(store, plan, submission, fake_slurm):
    first, second = submission.run_ids
    fake_slurm.says("squeue", f"12_0|{submission.name}|RUNNING|None|node7\n12_1|{submission.name}|RUNNING|None|node7")
    cancels = []

    def take(event):
        if event.kind != "progress":
            return
        cancels.append(sum(call.startswith("scancel") for call in fake_slurm.calls))
        if len(cancels) == 6:
            save_attempts(store, submission.name, first, (attempt(ended=2.0, code=130, cause="cancelled"),))
            save_attempts(store, submission.name, second, (attempt(ended=2.0, code=0),))

    lock = RunLock(store.lock_path(first))
    lock.acquire()
    with pytest.raises(RunsFailedError, match="cancelled"):
        watch_plan(store, plan, [first, second], poll_seconds=POLL, on_event=take, unwanted=lambda run: run == first)
    lock.release()
    assert [call for call in fake_slurm.calls if call.startswith("scancel")] == ["scancel 12_0"]
