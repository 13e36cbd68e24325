"""Runs of several processes, started as torchrun and srun start them: the same results, one record, one end."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vtbench.data import open_dataset
from vtbench.data.mixing import Batches
from vtbench.store.query import load_log, load_record, save_plan
from vtbench.study.expand import expand
from vtbench.study.load import load_study
from vtbench.train import checkpoint

pytestmark = pytest.mark.slow

RANKS = Path(__file__).parents[1] / "fakes" / "ranks.py"
STEPS = 20


def free_port():
    with socket.socket() as found:
        found.bind(("127.0.0.1", 0))
        return found.getsockname()[1]


def of_torchrun(rank, world, port):
    return {
        "RANK": rank,
        "WORLD_SIZE": world,
        "LOCAL_RANK": rank,
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
    }


def of_srun(rank, world, port):
    """What a job step has: no torch variables, and an allocation that may be larger than the step."""
    return {
        "SLURM_PROCID": rank,
        "SLURM_LOCALID": rank,
        "SLURM_STEP_NUM_TASKS": world,
        "SLURM_NTASKS": 8,
        "SLURM_JOB_ID": port,
        "SLURM_STEP_ID": 0,
        "SLURM_STEP_NODELIST": "localhost",
    }


class Ranks:
    """Processes of one run, each with a launcher's variables."""

    def __init__(self, folder):
        self.folder, self.processes = folder, []

    def start(self, *arguments, world=2, variables=of_torchrun):
        port = free_port()
        self.processes = [
            subprocess.Popen(
                [sys.executable, *map(str, arguments)],
                cwd=self.folder,
                env={
                    **os.environ,
                    "OMP_NUM_THREADS": "1",
                    **{key: str(value) for key, value in variables(rank, world, port).items()},
                },
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
            for rank in range(world)
        ]

    def wait(self, seconds=120):
        """Return the exit codes and what the processes wrote to standard error."""
        errors = [process.communicate(timeout=seconds)[1] for process in self.processes]
        return [process.returncode for process in self.processes], errors

    def end(self):
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.communicate()


@pytest.fixture
def ranks(tmp_path):
    ranks = Ranks(tmp_path)
    yield ranks
    ranks.end()


def trained(folder):
    """Return the losses of every step and the final state."""
    losses = [line["loss"] for line in json.loads((folder / "losses.json").read_text())]
    return losses, checkpoint.load(checkpoint.path_of(folder, STEPS))


def assert_same_weights(one, other):
    for part in ("model", "ema", "loss"):
        assert one[part].keys() == other[part].keys()
        assert all(torch.equal(value, other[part][name]) for name, value in one[part].items()), part


@pytest.fixture(scope="module")
def accumulated(tmp_path_factory):
    """What one process finds that takes each batch in two parts: losses and final state."""
    folder = tmp_path_factory.mktemp("accumulated")
    alone = Ranks(folder)
    alone.start(RANKS, folder / "out", STEPS, "grad_accumulation=2", world=1)
    codes, errors = alone.wait()
    assert codes == [0], errors
    return trained(folder / "out")


def test_two_processes_train_as_one_does_in_two_parts(ranks, tmp_path, accumulated):
    """With a GAN, revived codebooks that start from data, an average, Muon and AdamW."""
    ranks.start(RANKS, tmp_path / "out", STEPS)
    codes, errors = ranks.wait()
    assert codes == [0, 0], errors
    losses, _ = trained(tmp_path / "out")
    assert len(losses) == STEPS
    assert losses == pytest.approx(accumulated[0], abs=1e-6)


def test_two_processes_share_images_of_mixed_sizes_and_lengths(ranks, tmp_path):
    """Each has other numbers of images of a size; what does not depend on their order is what one process has."""
    options = ['per="sample"', 'num_tokens={"min":1,"max":4,"per":"sample"}']
    options.append('model={"length_scheme":"nested","codebook_init":"uniform","revive_after":null}')
    found = []
    for world in (1, 2):
        ranks.start(RANKS, tmp_path / str(world), STEPS, *options, world=world)
        codes, errors = ranks.wait()
        assert codes == [0] * world, errors
        found.append(trained(tmp_path / str(world))[0])
    assert found[1] == pytest.approx(found[0], rel=1e-4)


def test_what_is_divided_trains_the_same_and_its_checkpoint_is_a_whole_one(ranks, tmp_path, accumulated):
    ranks.start(RANKS, tmp_path / "divided", STEPS, 'parallel="fsdp"')
    codes, errors = ranks.wait()
    assert codes == [0, 0], errors
    losses, state = trained(tmp_path / "divided")
    assert losses == pytest.approx(accumulated[0], abs=1e-4)
    # the same names, shapes and kinds as one process writes, optimisers included
    assert shapes(state) == shapes(accumulated[1])
    (tmp_path / "alone").mkdir()
    middle = checkpoint.path_of(tmp_path / "divided", 15)
    checkpoint.path_of(tmp_path / "alone", 15).write_bytes(middle.read_bytes())
    ranks.start(RANKS, tmp_path / "alone", STEPS, "grad_accumulation=2", world=1)
    codes, errors = ranks.wait()
    assert codes == [0], errors
    again, _ = trained(tmp_path / "alone")
    assert len(again) == 5
    assert again == pytest.approx(losses[15:], abs=1e-5)


def shapes(tree):
    if isinstance(tree, dict):
        return {key: shapes(value) for key, value in tree.items() if key != "rng"}
    if isinstance(tree, list | tuple):
        return [shapes(value) for value in tree]
    return (tree.shape, tree.dtype) if isinstance(tree, torch.Tensor) else type(tree)


def test_more_processes_than_a_batch_can_be_shared_by(ranks, tmp_path):
    ranks.start(RANKS, tmp_path / "out", STEPS, "grad_accumulation=8")
    codes, errors = ranks.wait()
    assert codes == [1, 1]
    assert "train.batch_size is 8, which 2 processes cannot share evenly in 8 parts each" in errors[0]


@pytest.fixture
def worker(ranks, place, finished):
    """Start the study's first run in two processes; returns its id."""
    plan = finished.plan()
    save_plan(place.store, plan)
    run_id = next(iter(plan.runs))
    ranks.folder = place.path
    arguments = ["-m", "vtbench.launch.worker", "--root", "runs", "--plan", place.store.plan_path(plan.id), run_id]

    def start(**options):
        ranks.start(*arguments, **options)
        return run_id

    return start


def wait_for_line(store, run_id, number, processes):
    deadline = time.monotonic() + 120
    path = store.log_path(run_id)
    while not path.exists() or path.read_bytes().count(b"\n") < number:
        assert time.monotonic() < deadline
        assert all(process.poll() is None for process in processes)
        time.sleep(0.005)


def test_killed_and_stopped_and_started_again_they_end_with_the_same_bits(ranks, worker, place, tmp_path):
    """Once as torchrun starts them, undisturbed; once as srun does, killed, then asked to stop."""
    run_id = worker()
    codes, errors = ranks.wait()
    assert codes == [0, 0], errors
    whole, log = load_record(place.store, run_id), place.store.log_path(run_id).read_bytes()
    weights = checkpoint.load(checkpoint.path_of(place.store.checkpoint_dir(run_id), 24))
    assert whole.status == "done"
    assert whole.stage("train_tokenizer").num_processes == 2
    place.store.run_dir(run_id).rename(tmp_path / "undisturbed")

    worker(variables=of_srun)
    wait_for_line(place.store, run_id, 8, ranks.processes)
    for process in ranks.processes:
        process.send_signal(signal.SIGKILL)
    ranks.wait()
    assert checkpoint.steps(place.store.checkpoint_dir(run_id)) == [5]
    worker(variables=of_srun)
    wait_for_line(place.store, run_id, 14, ranks.processes)
    ranks.processes[1].send_signal(signal.SIGTERM)  # a launcher may tell one of them, or all at different moments
    codes, errors = ranks.wait()
    assert codes == [130, 130], errors
    assert load_record(place.store, run_id).status == "interrupted"
    stopped = checkpoint.steps(place.store.checkpoint_dir(run_id))[-1]
    assert stopped == len(load_log(place.store, run_id)) >= 14
    worker(variables=of_srun)
    codes, errors = ranks.wait()
    assert codes == [0, 0], errors
    assert load_record(place.store, run_id).outcome() == whole.outcome()
    assert place.store.log_path(run_id).read_bytes() == log
    assert_same_weights(checkpoint.load(checkpoint.path_of(place.store.checkpoint_dir(run_id), 24)), weights)


def test_a_process_that_is_killed_ends_the_others_and_is_named(ranks, worker, place):
    run_id = worker()
    wait_for_line(place.store, run_id, 3, ranks.processes)
    started = time.monotonic()
    ranks.processes[1].kill()
    codes, errors = ranks.wait(60)
    assert time.monotonic() - started < 20
    assert codes == [1, -signal.SIGKILL]
    record = load_record(place.store, run_id)
    assert (record.status, record.error.kind, record.error.stage) == ("failed", "ProcessLostError", "train_tokenizer")
    assert "ended without a word" in errors[0]
    assert not place.store.lock_path(run_id).exists()


@pytest.mark.parametrize("launcher", ["variables", "torchrun"])
def test_what_fails_in_one_process_ends_all_at_once_and_is_recorded(ranks, place, bad_picture, launcher):
    """Process 1 alone meets a broken picture, while process 0 waits for it in a sum."""
    plan, run_id, picture = bad_picture
    arguments = ["vtbench.launch.worker", "--root", place.store.root, "--plan", place.store.plan_path(plan.id), run_id]
    if launcher == "torchrun":
        code, _, error = place.call("torch.distributed.run", "--standalone", "--nproc-per-node=2", "-m", *arguments)
        assert code == 1
    else:
        ranks.start("-m", *arguments)
        assert ranks.processes[1].wait(120) == 1
        ended = time.monotonic()
        codes, (error, _) = ranks.wait()
        assert codes == [1, 1]
        assert time.monotonic() - ended < 5
    record = load_record(place.store, run_id)
    assert record.status == "failed"
    assert (record.error.kind, record.error.stage) == ("DataError", "train_tokenizer")
    assert record.error.message.startswith(f"process 1 of 2 on {socket.gethostname()}: {picture} is not an image")
    assert record.error.message in error
    assert not place.store.lock_path(run_id).exists()


@pytest.fixture
def bad_picture(tmp_path, place):
    """A run on pictures of which one, that process 1 sees in the second step, is broken."""
    draw = np.random.default_rng(0)
    for split in ("train", "val"):
        folder = tmp_path / "images" / split / "a"
        folder.mkdir(parents=True)
        for number in range(8):
            Image.fromarray(draw.integers(0, 256, (24, 24, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    text = (Path(__file__).parents[1] / "fakes" / "small_study.yaml").read_text()
    study = tmp_path / "small.yaml"
    study.write_text(text.replace("IMAGES,", "").replace("root: IMAGES", f"root: {tmp_path / 'images'}"))
    plan = expand(load_study(study))
    save_plan(place.store, plan)
    run_id, spec = next(iter(plan.runs.items()))
    data = open_dataset(spec.config.data, "train", place.store.cache_dir)
    index = Batches(data, spec.config.mixing, 2, spec.seed).indices(1)[1]
    picture = Path(data.read(index)[1])
    picture.write_bytes(b"no picture")
    return plan, run_id, picture
