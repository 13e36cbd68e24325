"""Whatever befalls a job, its node, Slurm or the controller: one more `run` ends the study as if nothing had been."""

import contextlib
import json
import os
import shutil
import signal
import subprocess

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
    _, error = process.communicate(timeout=240)
    assert process.returncode == 1
    assert "killed by SIGKILL" in error
    long_site.finish()
    complete(num_submissions=2)


def test_a_jobs_process_killed_with_9(long_site, complete):
    process = long_site.start()
    long_site.wait_for_step(20)
    os.kill(long_site.attempts()[-1].pid, signal.SIGKILL)
    _, error = process.communicate(timeout=240)
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
    # asked to end, it saves what it knows; killed in a job's first five seconds it would forget that the job began
    long_site.slurm.kill("slurmctld", signal.SIGTERM)
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
    process.communicate(timeout=240)
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


def test_a_corrupted_last_checkpoint_falls_back_to_the_one_before(long_site, complete):
    long_site.edit("checkpoint_every: 1000000", "checkpoint_every: 10")
    process = long_site.start()
    long_site.wait_for_step(35)
    os.kill(live_holder(long_site.store.lock_path(long_site.run_id())).pid, signal.SIGKILL)
    process.communicate(timeout=240)
    *_, last = sorted(long_site.store.checkpoint_dir(long_site.run_id()).glob("step-*.pt"))
    with last.open("r+b") as file:
        file.truncate(last.stat().st_size // 2)
    long_site.finish()
    complete(num_submissions=2)


@pytest.fixture
def small_disk(long_site):
    """Put the store onto a disk of 40 MB; return its folder."""
    root, icons = long_site.store.root, long_site.store.cache_dir.resolve()
    mounted = subprocess.run(["mount", "-t", "tmpfs", "-o", "size=40m", "tmpfs", root], check=False).returncode == 0
    if not mounted:
        pytest.skip("only root can mount a small disk")
    (root / "cache").symlink_to(icons)
    yield root
    long_site.slurm.cancel_all()
    subprocess.run(["umount", "--lazy", root], check=True)


def test_a_full_disk_loses_nothing(long_site, complete, small_disk):
    long_site.edit("checkpoint_every: 1000000", "checkpoint_every: 10")
    process = long_site.start()
    long_site.wait_for_step(20)
    filler = small_disk / "filler"
    with contextlib.suppress(OSError), filler.open("wb", buffering=0) as file:
        while file.write(bytes(4096)):
            pass
    _, error = process.communicate(timeout=240)
    assert process.returncode == 1
    assert "Traceback" not in error
    filler.unlink()
    assert load_record(long_site.store, long_site.run_id()).spec.run_id == long_site.run_id()
    long_site.finish()
    complete(num_submissions=2)


def test_at_its_time_limit_a_job_saves_and_goes_on_at_the_same_step(site):
    site.one_long_run(steps=100_000)
    site.edit("minutes: 5", "minutes: 2")
    code, _, error = site.place.call(*site.SLURM, "--detach")
    assert code == 0, error
    site.wait_for(lambda: site.attempts() and site.attempts()[0].requeued, 480)
    step = int(site.attempts()[0].reached.removeprefix("step-").partition(".")[0])
    assert step == site.num_logged() > 0

    def goes_on():
        site.slurm.nudge()
        return site.num_logged() > step + 5

    site.wait_for(goes_on, 480)
    lines = site.store.log_path(site.run_id()).read_text().splitlines()
    assert [json.loads(line)["step"] for line in lines] == list(range(len(lines)))
    code, _, error = site.place.call("vtbench", "cancel", "fast")
    assert code == 0, error
