"""Whatever befalls a job, its node, Slurm or the controller: one more `run` ends the study as if nothing had been."""

import os
import shutil
import signal

import pytest

from vtbench.store.lock import live_holder
from vtbench.store.query import load_record

pytestmark = pytest.mark.slow


def test_usr2_saves_and_the_job_goes_on_at_the_same_step(long_site, complete):
    process = long_site.start()
    long_site.wait_for_step(20)
    long_site.slurm.call("scancel", "--signal=USR2", long_site.job_id())
    long_site.finish(process)
    first, second = long_site.attempts()
    assert first.requeued
    step = int(first.reached.removeprefix("step-").partition(".")[0])
    assert 20 <= step < 150  # saved there: the cadence alone would never have saved
    assert second.code == 0
    complete()


def test_a_requeue_from_outside(long_site, complete):
    process = long_site.start()
    long_site.wait_for_step(20)
    long_site.slurm.call("scontrol", "requeue", long_site.job_id())
    long_site.finish(process)
    assert len(long_site.attempts()) == 2
    complete()


def test_a_worker_killed_with_9(long_site, complete):
    process = long_site.start()
    long_site.wait_for_step(20)
    os.kill(live_holder(long_site.store.lock_path(long_site.run_id())).pid, signal.SIGKILL)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 1
    assert "killed by SIGKILL" in error
    long_site.finish()
    complete(num_submissions=2)


def test_a_jobs_process_killed_with_9(long_site, complete):
    process = long_site.start()
    long_site.wait_for_step(20)
    os.kill(long_site.attempts()[-1].pid, signal.SIGKILL)
    _, error = process.communicate(timeout=100)
    assert process.returncode == 1
    assert "left no word" in error
    long_site.finish()
    complete(num_submissions=2)


def test_slurmd_killed_and_started_again(long_site, complete):
    process = long_site.start()
    long_site.wait_for_step(20)
    for node in long_site.slurm.nodes:
        long_site.slurm.kill(node)
    long_site.wait_for_step(40)
    for node in long_site.slurm.nodes:
        long_site.slurm.start_node(node)
    long_site.slurm.wait_for_nodes()
    long_site.finish(process)
    complete()


def test_slurmctld_restarted(long_site, complete):
    process = long_site.start()
    long_site.wait_for_step(20)
    long_site.slurm.kill("slurmctld")
    long_site.wait_for_step(60)
    long_site.slurm.start_controller()
    long_site.slurm.wait_for_nodes()
    long_site.finish(process)
    assert len(long_site.attempts()) == 1
    complete()


@pytest.fixture
def sbatch(long_site, tmp_path, monkeypatch):
    """Put a program in the place of `sbatch`: lines of shell, in which `$SBATCH` is the real one."""

    def sbatch(*lines):
        path = tmp_path / "programs" / "sbatch"
        path.parent.mkdir()
        path.write_text("\n".join(["#!/bin/bash", f"SBATCH={shutil.which('sbatch')}", *lines]) + "\n")
        path.chmod(0o755)
        monkeypatch.setenv("PATH", str(path.parent), prepend=os.pathsep)
        return path

    return sbatch


@pytest.mark.parametrize("lines", [["kill -9 $PPID"], ['"$SBATCH" "$@"', "kill -9 $PPID"]], ids=["before", "after"])
def test_the_controller_killed_around_sbatch(long_site, complete, sbatch, lines):
    program = sbatch(*lines)
    process = long_site.start()
    process.communicate(timeout=100)
    assert process.returncode == -signal.SIGKILL
    (submission,) = long_site.submissions()
    assert submission.status == "planned"
    program.unlink()
    long_site.finish()
    assert [each.status for each in long_site.submissions()] == ["void", "submitted"]
    complete()


def test_the_controller_killed_while_it_watches(long_site, complete):
    process = long_site.start()
    long_site.wait_for_step(5)
    os.killpg(process.pid, signal.SIGKILL)
    process.communicate()
    long_site.finish()
    assert len(long_site.attempts()) == 1
    complete()


def test_a_refusal_is_one_message_and_leaves_nothing(long_site):
    long_site.edit("poll_seconds: 1", "poll_seconds: 1, partition: nowhere")
    code, _, error = long_site.place.call(*long_site.SLURM)
    assert code == 2
    assert "Slurm refused the jobs" in error
    assert "partition" in error
    assert "Traceback" not in error
    assert [each.status for each in long_site.submissions()] == ["void"]
    assert load_record(long_site.store, long_site.run_id()) is None
