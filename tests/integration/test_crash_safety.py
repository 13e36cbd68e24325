"""A disk that is full, read-only, gone or wrong in the middle of a run: a named error, nothing lost, and on it goes."""

import os
import subprocess
import sys

import pytest
import torch

from vtbench.errors import DiskFullError, StoreError
from vtbench.schema.record import StageRecord
from vtbench.schema.run import Component, MixingConfig, RunConfig, RunSpec, TrainConfig
from vtbench.store.files import append_line, read_lines, write_atomic
from vtbench.store.layout import Store
from vtbench.store.provenance import collect
from vtbench.store.query import load_record, save_plan
from vtbench.store.writer import RunWriter
from vtbench.train import checkpoint

STEPS = 24


def mount(*arguments):
    return subprocess.run(["mount", *map(str, arguments)], capture_output=True, text=True, check=False)


class Disk:
    """A small disk of its own, in memory."""

    def __init__(self, path):
        self.path = path
        path.mkdir()
        done = mount("-t", "tmpfs", "-o", "size=4m", "tmpfs", path)
        if done.returncode:
            pytest.skip(f"this machine lets nobody mount a disk: {done.stderr.strip()}")

    def fill(self, left=0):
        """Take all room but `left` bytes."""
        free = os.statvfs(self.path).f_bavail * os.statvfs(self.path).f_frsize
        with (self.path / "ballast").open("wb") as file:
            file.write(b"x" * max(0, free - left))

    def make_room(self):
        (self.path / "ballast").unlink()

    def remount(self, how):
        done = mount("-o", f"remount,{how}", self.path)
        assert done.returncode == 0, done.stderr

    def vanish(self):
        """Take the disk away from under those who use it, as a network disk goes."""
        subprocess.run(["umount", "--lazy", self.path], check=True)


@pytest.fixture
def disk(tmp_path):
    disk = Disk(tmp_path / "disk")
    yield disk
    while os.path.ismount(disk.path):
        disk.vanish()


@pytest.fixture
def writer(disk):
    """A run that is being written on the small disk, with a checkpoint and a log."""
    config = RunConfig(
        tokenizer=Component(name="vibetoken"),
        data=Component(name="icons"),
        mixing=MixingConfig(inputs={"32x32": 1.0}),
        train=TrainConfig(steps=10, batch_size=4),
    )
    spec = RunSpec(run_id="0123456789ab", config=config, seed=0)
    store = Store(disk.path / "runs")
    with RunWriter(store, spec, collect("test")) as writer:
        writer.log(0, {"loss": 1.0})
        checkpoint.save(store.checkpoint_dir(spec.run_id), 1, {"w": torch.zeros(1000)})
        yield writer, store, spec.run_id


def test_a_full_disk_keeps_what_is_there(disk, tmp_path):
    path, log = disk.path / "record.json", disk.path / "log.jsonl"
    write_atomic(path, "old")
    append_line(log, "one")
    disk.fill()
    with pytest.raises(DiskFullError, match=r"record\.json cannot be written: the disk is full .* make room"):
        write_atomic(path, "x" * 100_000)
    with pytest.raises(DiskFullError):
        append_line(log, "x" * 100_000)
    assert path.read_text() == "old"
    assert read_lines(log) == ["one"]
    assert log.read_text() == "one\n"
    assert sorted(file.name for file in disk.path.iterdir()) == ["ballast", "log.jsonl", "record.json"]
    disk.make_room()
    write_atomic(path, "new")
    append_line(log, "two")
    assert (path.read_text(), read_lines(log)) == ("new", ["one", "two"])


def test_a_checkpoint_that_does_not_fit_leaves_the_one_before(disk, writer):
    writer, store, run_id = writer
    folder = store.checkpoint_dir(run_id)
    disk.fill(left=200_000)
    with pytest.raises(DiskFullError, match="step-00000002"):
        checkpoint.save(folder, 2, {"w": torch.zeros(1_000_000)})
    assert [path.name for path in folder.iterdir()] == ["step-00000001.pt"]
    assert checkpoint.load_latest(folder)["step"] == 1
    writer.update(status="failed")  # what is left is enough to say so
    assert load_record(store, run_id).status == "failed"


def test_onlookers_do_not_end_a_run_on_a_full_disk(disk, writer):
    writer, *_ = writer
    disk.fill()
    writer.progress("train_tokenizer", 1, 2)
    with pytest.raises(DiskFullError):
        writer.log(1, {"x" * 10_000: 1.0})


def test_a_read_only_disk_is_named(disk, writer):
    writer, store, run_id = writer
    disk.remount("ro")
    for write in (
        lambda: writer.set_stage(StageRecord(name="train_tokenizer", status="running")),
        lambda: writer.log(1, {"loss": 1.0}),
        lambda: checkpoint.save(store.checkpoint_dir(run_id), 2, {"w": torch.zeros(10)}),
    ):
        with pytest.raises(StoreError, match="the disk is read-only"):
            write()
    disk.remount("rw")
    writer.log(1, {"loss": 1.0})
    assert len(read_lines(store.log_path(run_id))) == 2


def test_nothing_is_written_beside_a_disk_that_has_gone(disk, writer):
    writer, store, run_id = writer
    disk.vanish()
    for write in (
        lambda: writer.update(status="done"),
        lambda: writer.log(1, {"loss": 1.0}),
        lambda: checkpoint.save(store.checkpoint_dir(run_id), 2, {"w": torch.zeros(10)}),
    ):
        with pytest.raises(StoreError, match="its folder is gone or its disk does not answer"):
            write()
    assert list(disk.path.iterdir()) == []
    # so that the lock can be given back
    store.run_dir(run_id).mkdir(parents=True)


def worker(place, root, run_id):
    done = subprocess.run(
        [sys.executable, "-m", "vtbench.launch.worker", "--root", root, "--plan", root / "plan.json", run_id],
        cwd=place.path,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    return done.returncode, done.stderr


@pytest.mark.slow
def test_a_run_whose_disk_fills_up_goes_on_when_there_is_room(disk, place, finished):
    plan = finished.plan()
    run_id = next(iter(plan.runs))
    store = Store(disk.path / "runs")
    save_plan(store, plan)
    store.plan_path(plan.id).rename(store.root / "plan.json")
    store.cache_dir.symlink_to(finished.store.cache_dir.resolve())
    one = checkpoint.path_of(finished.store.checkpoint_dir(run_id), STEPS).stat().st_size
    disk.fill(left=int(1.5 * one))
    code, error = worker(place, store.root, run_id)
    assert code == 1
    assert "the disk is full" in error
    assert "Traceback" not in error
    record = load_record(store, run_id)
    assert (record.status, record.error.kind) == ("failed", "DiskFullError")
    assert checkpoint.steps(store.checkpoint_dir(run_id)) == [5]
    disk.make_room()
    code, error = worker(place, store.root, run_id)
    assert code == 0, error
    assert load_record(store, run_id).outcome() == finished.records()[run_id].outcome()
    assert store.log_path(run_id).read_bytes() == finished.store.log_path(run_id).read_bytes()


@pytest.mark.slow
def test_a_broken_last_checkpoint_is_trained_again_from_the_one_before(place, finished, monkeypatch):
    """A bit has flipped on the disk after training and before all was measured."""
    plan = finished.plan()
    run_id = next(iter(plan.runs))
    save_plan(place.store, plan)
    store = place.store
    store.plan_path(plan.id).rename(store.root / "plan.json")
    code, error = worker(place, store.root, run_id)
    assert code == 0, error
    path = checkpoint.path_of(store.checkpoint_dir(run_id), STEPS)
    data = bytearray(path.read_bytes())
    data[len(data) // 2] ^= 1
    path.write_bytes(data)
    record = load_record(store, run_id)
    store.record_path(run_id).write_text(
        record.model_copy(update={"metrics": (), "stages": record.stages[:1]}).model_dump_json()
    )
    code, error = worker(place, store.root, run_id)
    assert code == 0, error
    assert f"{path.name} is broken; training goes on from the checkpoint before" in error
    assert load_record(store, run_id).outcome() == finished.records()[run_id].outcome()
    assert store.log_path(run_id).read_bytes() == finished.store.log_path(run_id).read_bytes()
    one, two = (checkpoint.load(checkpoint.path_of(s.checkpoint_dir(run_id), STEPS)) for s in (store, finished.store))
    assert all(torch.equal(value, two["model"][name]) for name, value in one["model"].items())
