"""Jobs with real workers; Slurm's part (who calls, and what requeueing does) is played by the test."""

import os
import signal
import subprocess
import threading
import time
from contextlib import nullcontext

import pytest

from vtbench.errors import LaunchError
from vtbench.launch import job as job_module
from vtbench.launch import ledger
from vtbench.launch.attempt import Attempt, load_attempts
from vtbench.launch.job import Job, _is_idle, work
from vtbench.schema.study import ResourceConfig
from vtbench.store.lock import RunLock, live_holder
from vtbench.store.query import load_progress, load_record


@pytest.fixture(autouse=True)
def _handlers():
    before = signal.getsignal(signal.SIGUSR2)
    yield
    signal.signal(signal.SIGUSR2, before)


@pytest.fixture
def make_job(store, make_plan, tmp_path):
    def make_job(**overrides):
        plan = make_plan(**overrides)
        submission = ledger.plan_submission(store, plan, list(plan.runs), tmp_path)
        return Job(
            root=str(store.root),
            name=submission.name,
            run_id=submission.run_ids[0],
            resources=ResourceConfig(num_threads=1),
            minutes=60,
            signal_seconds=30,
        )

    return make_job


@pytest.fixture
def requeued():
    return []


def meanwhile(action, condition):
    """Call `action` in a thread as soon as `condition` holds."""

    def wait():
        while not condition():
            time.sleep(0.02)
        action()

    threading.Thread(target=wait, daemon=True).start()


def trains(store, job):
    return lambda: (found := load_progress(store, job.run_id)) is not None and found.step > 2


def test_a_job_makes_its_run_and_leaves_an_exit_file(store, make_job, requeued):
    job = make_job()
    work(job, "12_0", 0, lambda *_: requeued.append(1))
    (attempt,) = load_attempts(store, job.name, job.run_id)
    assert (attempt.code, attempt.cause, attempt.requeued, attempt.pid) == (0, None, False, os.getpid())
    assert load_record(store, job.run_id).status == "done"
    assert requeued == []


@pytest.mark.slow
def test_usr2_saves_first_and_requeues_then(store, make_job, requeued):
    job = make_job(train__steps=100_000)
    meanwhile(lambda: os.kill(os.getpid(), signal.SIGUSR2), trains(store, job))

    def requeue(number, frame):
        requeued.append(
            (number, live_holder(store.lock_path(job.run_id)), list(store.checkpoint_dir(job.run_id).iterdir()))
        )

    work(job, "12_0", 0, requeue)
    ((number, holder, checkpoints),) = requeued
    assert (number, holder) == (signal.SIGUSR2, None)
    assert len(checkpoints) == 1
    (attempt,) = load_attempts(store, job.name, job.run_id)
    assert attempt.requeued
    assert checkpoints[0].name in attempt.reached
    assert load_record(store, job.run_id).status == "interrupted"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("says", "requeues", "cause"),
    [
        ("JobState=RUNNING Restarts=0", 1, None),
        ("JobState=COMPLETING Restarts=1", 0, None),  # Slurm has requeued it itself
        ("JobState=COMPLETING Restarts=0", 0, "cancelled"),
    ],
)
def test_term_to_the_worker(store, make_job, requeued, fake_slurm, says, requeues, cause):
    fake_slurm.says("scontrol", says)
    job = make_job(train__steps=100_000)
    lock = store.lock_path(job.run_id)
    meanwhile(lambda: os.kill(live_holder(lock).pid, signal.SIGTERM), trains(store, job))
    with pytest.raises(LaunchError, match="cancelled") if cause else nullcontext():
        work(job, "12_0", 0, lambda *_: requeued.append(1))
    assert len(requeued) == requeues
    (attempt,) = load_attempts(store, job.name, job.run_id)
    assert attempt.cause == cause
    assert attempt.requeued is (cause is None)


@pytest.mark.slow
def test_usr2_that_comes_late_does_not_end_slurms_commands(store, make_job, requeued, fake_slurm):
    # another rank was told first, and stopped this one's worker; its own USR2 comes while Slurm is asked
    fake_slurm.says("scontrol", "JobState=RUNNING Restarts=0", before="kill -USR2 $$ $PPID")
    job = make_job(train__steps=100_000)
    lock = store.lock_path(job.run_id)
    meanwhile(lambda: os.kill(live_holder(lock).pid, signal.SIGTERM), trains(store, job))
    work(job, "12_0", 0, lambda *_: requeued.append(1))
    (attempt,) = load_attempts(store, job.name, job.run_id)
    assert (attempt.requeued, requeued) == (True, [1])


@pytest.mark.slow
def test_a_job_that_cannot_be_queued_again_says_why(store, make_job, monkeypatch):
    monkeypatch.setattr(job_module, "RETRY_SECONDS", (0.0,))
    job = make_job(train__steps=100_000)
    meanwhile(lambda: os.kill(os.getpid(), signal.SIGUSR2), trains(store, job))
    tried = []

    def requeue(number, frame):
        tried.append(1)
        raise subprocess.CalledProcessError(1, ["scontrol", "requeue"])

    with pytest.raises(LaunchError, match=r"could not be queued again .*scontrol"):
        work(job, "12_0", 0, requeue)
    (attempt,) = load_attempts(store, job.name, job.run_id)
    assert (len(tried), attempt.requeued) == (2, False)
    assert "could not be queued again" in attempt.cause


def test_a_failure_is_told_with_its_cause(store, make_job, requeued):
    job = make_job()
    store.checkpoint_dir(job.run_id).parent.mkdir(parents=True)
    store.checkpoint_dir(job.run_id).write_text("a file where a folder should be")
    with pytest.raises(LaunchError) as caught:
        work(job, "12_0", 0, lambda *_: requeued.append(1))
    (attempt,) = load_attempts(store, job.name, job.run_id)
    assert attempt.cause == str(caught.value) == load_record(store, job.run_id).error.message
    assert (attempt.code, requeued) == (1, [])


@pytest.mark.slow
def test_a_run_that_another_process_writes_is_waited_for(store, make_job, requeued):
    job = make_job()
    lock = RunLock(store.lock_path(job.run_id))
    lock.acquire()
    begun = time.monotonic()
    meanwhile(lock.release, lambda: time.monotonic() > begun + 1)
    work(job, "12_0", 0, lambda *_: requeued.append(1))
    assert load_record(store, job.run_id).status == "done"


@pytest.mark.slow
def test_it_is_not_waited_for_for_ever(store, make_job, monkeypatch):
    monkeypatch.setattr(job_module, "LOCKED_SECONDS", 0.5)
    job = make_job()
    lock = RunLock(store.lock_path(job.run_id))
    lock.acquire()
    with pytest.raises(LaunchError, match="is being written by process"):
        work(job, "12_0", 0, lambda *_: None)
    lock.release()


def test_jobs_that_gain_nothing_end(store):
    def attempts(*reached, seconds=3000.0):
        return tuple(
            Attempt(job_id="1", host="a", pid=1, started=0.0, ended=seconds, requeued=True, reached=each)
            for each in reached
        )

    assert _is_idle(attempts("a", "b", "b", "b"), 3600)
    assert not _is_idle(attempts("b", "b"), 3600)
    assert not _is_idle(attempts("a", "b", "b"), 3600)
    assert not _is_idle(attempts("b", "b", "b", seconds=100.0), 3600)  # pre-empted early
