import os
import signal
import subprocess
import sys
import time

import pytest
import torch

from vtbench.runner.execute import execute
from vtbench.store.layout import Store
from vtbench.store.query import load_log
from vtbench.train import checkpoint

STEPS = 40


@pytest.fixture
def plan(make_generator_plan):
    train = {"steps": STEPS, "batch_size": 2, "log_every": 1, "checkpoint_every": 4}
    return make_generator_plan(generator__train=train)


@pytest.fixture
def spec(plan):
    return plan.runs[plan.cells[0].run_id]


def finish(store, plan, spec):
    """Train the tokenizer and the generator; return the record, the log and the last checkpoint."""
    for run_id in (*spec.needs, spec.run_id):
        record = execute(store, plan, run_id)
    state = checkpoint.load(checkpoint.path_of(store.checkpoint_dir(spec.run_id), STEPS))
    return record, load_log(store, spec.run_id), state


def test_a_generator_is_trained_once_and_one_seed_twice_gives_the_same_losses(
    store, plan, spec, tmp_path, open_context
):
    record, log, _ = finish(store, plan, spec)
    stage = record.stage("train_generator")
    assert (record.status, stage.status, stage.steps) == ("done", "done", STEPS)
    assert list(log["step"]) == list(range(STEPS))
    assert "loss_code_3" in log
    before = store.log_path(spec.run_id).stat().st_mtime_ns
    assert execute(store, plan, spec.run_id).stages == record.stages
    assert store.log_path(spec.run_id).stat().st_mtime_ns == before
    with open_context(plan, spec.run_id) as context:
        model = context.trained_generator()
        assert context.weights_id == f"ema@{STEPS}"
    state = checkpoint.load(checkpoint.path_of(store.checkpoint_dir(spec.run_id), STEPS))
    assert all(torch.equal(value, state["ema"][name]) for name, value in model.state_dict().items())
    other = Store(tmp_path / "other")
    assert finish(other, plan, spec)[1].equals(log)


@pytest.mark.slow
def test_a_run_that_was_killed_ends_bitwise_like_one_that_was_not(store, plan, spec, tmp_path):
    _, log, whole = finish(store, plan, spec)
    killed = Store(tmp_path / "killed")
    execute(killed, plan, spec.needs[0])
    path = store.plan_path(plan.id)
    command = [
        sys.executable,
        "-m",
        "vtbench.launch.worker",
        "--root",
        str(killed.root),
        "--plan",
        str(path),
        spec.run_id,
    ]
    environment = {**os.environ, "OMP_NUM_THREADS": str(torch.get_num_threads())}
    worker = subprocess.Popen(command, env=environment)
    while not checkpoint.steps(killed.checkpoint_dir(spec.run_id)):
        assert worker.poll() is None
        time.sleep(0.01)
    worker.send_signal(signal.SIGKILL)
    assert worker.wait() == -signal.SIGKILL
    assert checkpoint.steps(killed.checkpoint_dir(spec.run_id))[-1] < STEPS
    _, again, state = finish(killed, plan, spec)
    assert again.equals(log)
    for part in ("model", "ema"):
        assert all(torch.equal(value, whole[part][name]) for name, value in state[part].items()), part
