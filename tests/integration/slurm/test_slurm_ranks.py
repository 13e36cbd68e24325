"""Two ranks of one run under `srun`, on two nodes."""

import signal
import subprocess
import time
from pathlib import Path

import pytest

from vtbench.launch.attempt import load_attempts

pytestmark = pytest.mark.slow

RAISES = """
import os, signal, sys

def give_up(number, frame):
    raise RuntimeError("this rank has had enough")

if os.environ.get("SLURM_PROCID") == "1" and "vtbench.launch.worker" in sys.orig_argv:
    signal.signal(signal.SIGALRM, give_up)
"""
"""What Python runs as it starts: rank 1's worker raises an error when it is sent SIGALRM."""


@pytest.fixture
def two_ranks(long_site, tmp_path, monkeypatch):
    """The one long run, made by a rank on each of two nodes."""
    long_site.edit("num_threads: 1,", "num_threads: 1, num_ranks: 2, num_nodes: 2,")
    long_site.edit("steps: 150", "steps: 600")
    (tmp_path / "hooks").mkdir()
    (tmp_path / "hooks" / "sitecustomize.py").write_text(RAISES)
    setup = f"setup: ['export PYTHONPATH=$PYTHONPATH:{tmp_path}/hooks']"
    long_site.edit("poll_seconds: 1", f"poll_seconds: 1, {setup}")
    return long_site


def worker_of(site, rank):
    """Return the process id of a rank's worker."""
    attempts = load_attempts(site.store, site.submissions()[-1].name, site.run_id(), rank)
    children = Path(f"/proc/{attempts[-1].pid}/task/{attempts[-1].pid}/children").read_text().split()
    return int(children[0])


def test_one_rank_that_raises_ends_the_job_with_its_error(two_ranks):
    process = two_ranks.start()
    two_ranks.wait_for_step(5)
    began = time.monotonic()
    subprocess.run(["kill", f"-{int(signal.SIGALRM)}", str(worker_of(two_ranks, 1))], check=True)
    while two_ranks.slurm.jobs():
        assert time.monotonic() - began < 30
        time.sleep(0.2)
    _, error = process.communicate(timeout=240)
    assert process.returncode == 1
    assert "this rank has had enough" in error
    record = two_ranks.place.records()[two_ranks.run_id()]
    assert record.status == "failed"
    assert "this rank has had enough" in record.error.message
    two_ranks.finish()
    assert two_ranks.place.records()[two_ranks.run_id()].status == "done"


def test_both_ranks_save_and_go_on_at_the_same_step(two_ranks):
    process = two_ranks.start()
    two_ranks.wait_for_step(20)
    two_ranks.slurm.call("scancel", "--signal=USR2", two_ranks.job_id())
    two_ranks.finish(process)
    first, second = two_ranks.attempts()
    assert first.requeued
    assert first.reached.startswith("step-")
    assert second.code == 0
    assert two_ranks.num_logged() == 600
