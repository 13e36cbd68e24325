"""Whatever ends a study early, the same command ends it as if nothing had happened."""

import os
import shutil
import signal
import subprocess
import time

import numpy as np
import pytest
import torch

from vtbench.store.layout import Store
from vtbench.store.query import load_progress, load_record
from vtbench.train import checkpoint

RUN = ("vtbench", "run", "studies/fast.yaml")


def wait_for(condition, process, seconds=120):
    start = time.monotonic()
    while not condition():
        assert process.poll() is None, "the program ended before it could be disturbed"
        assert time.monotonic() - start < seconds, "waited too long"
        time.sleep(0.005)


def num_logged(store: Store, run_id: str) -> int:
    path = store.log_path(run_id)
    return path.read_bytes().count(b"\n") if path.exists() else 0


def is_measuring(store: Store, run_id: str) -> bool:
    progress = load_progress(store, run_id)
    return progress is not None and progress.stage != "train_tokenizer"


def status(place, run_id):
    record = load_record(place.store, run_id)
    return None if record is None else record.status


def weights(store: Store, run_id: str) -> dict:
    return checkpoint.load(checkpoint.path_of(store.checkpoint_dir(run_id), 24))


def assert_equal(store: Store, other: Store, run_id: str) -> None:
    """Check that a run came out the same in both stores: every exact value and every weight, bit for bit."""
    assert load_record(store, run_id).outcome() == load_record(other, run_id).outcome()
    assert store.log_path(run_id).read_bytes() == other.log_path(run_id).read_bytes()
    one, two = weights(store, run_id), weights(other, run_id)
    for part in ("model", "ema", "loss"):
        assert one[part].keys() == two[part].keys()
        assert all(torch.equal(value, two[part][name]) for name, value in one[part].items()), part


def moments(store: Store, first: str, second: str):
    """Yield three moments in a study of two runs, each as (condition, seconds after it), drawn from a seed."""
    draw = np.random.default_rng(20)
    early, late = (int(number) for number in draw.integers(1, 20, size=2))
    pauses = draw.uniform(0, [0.2, 0.8, 0.2])
    yield lambda: num_logged(store, first) >= early, pauses[0]
    yield lambda: is_measuring(store, first), pauses[1]
    yield lambda: num_logged(store, second) >= late, pauses[2]


@pytest.mark.slow
def test_kills_at_any_moment_leave_no_trace_in_the_results(place, finished):
    first, second = finished.plan().runs
    for condition, pause in moments(place.store, first, second):
        process = place.start(*RUN)
        wait_for(condition, process)
        time.sleep(pause)
        assert process.poll() is None
        os.killpg(process.pid, signal.SIGKILL)
        process.communicate()
        assert process.returncode == -signal.SIGKILL
        assert status(place, second) != "done"
    code, output, error = place.call(*RUN)
    assert code == 0, error
    assert "1 of them done already" in output
    assert_equal_studies(place, finished)


@pytest.mark.slow
@pytest.mark.parametrize("num_kills", [5, pytest.param(50, marks=pytest.mark.soak)])
def test_kills_at_random_moments_leave_no_trace_in_the_results(place, finished, num_kills):
    """From the first import to the last report; a study that ends in between begins again from nothing."""
    draw = np.random.default_rng(num_kills)
    killed = 0
    while killed < num_kills:
        process = place.start(*RUN)
        try:
            process.communicate(timeout=draw.uniform(0, finished.seconds))
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
            killed += 1
        else:
            assert process.returncode == 0
            assert_equal_studies(place, finished)
            shutil.rmtree(place.store.root / "runs")
    code, _, error = place.call(*RUN)
    assert code == 0, error
    assert_equal_studies(place, finished)


def assert_equal_studies(place, finished):
    assert place.records().keys() == finished.records().keys()
    for run_id in finished.records():
        assert_equal(place.store, finished.store, run_id)


@pytest.mark.slow
def test_ctrl_c_saves_and_the_run_goes_on(place, finished):
    run_id = next(iter(finished.plan().runs))
    process = place.start(*RUN)
    wait_for(lambda: num_logged(place.store, run_id) >= 3, process)
    process.send_signal(signal.SIGINT)
    _, error = process.communicate(timeout=60)
    assert process.returncode == 130
    assert error.strip() == "Interrupted. What is done is kept; resume with the same command."
    assert status(place, run_id) == "interrupted"
    saved = checkpoint.steps(place.store.checkpoint_dir(run_id))
    assert saved[-1] == num_logged(place.store, run_id) >= 3
    assert not place.store.lock_path(run_id).exists()
    # the worker alone, which is what the same command would start
    plan = place.store.plan_path("fast@tiny")
    code, _, error = place.call("vtbench.launch.worker", "--root", "runs", "--plan", plan, run_id)
    assert code == 0, error
    assert_equal(place.store, finished.store, run_id)
