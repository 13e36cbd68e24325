import os
import shutil
import signal

import pytest
import torch

from vtbench.data.mixing import Batches
from vtbench.errors import DataError, NonFiniteLossError, RunLockedError
from vtbench.runner.execute import execute
from vtbench.runner.stages import measure_cost
from vtbench.store.lock import RunLock
from vtbench.store.query import load_log, load_record
from vtbench.store.writer import RunWriter

STAGES = ["train_tokenizer", "evaluate_reconstruction", "measure_cost"]


@pytest.fixture
def run(store, first_run):
    """Execute a plan's first run and return its record."""
    return lambda plan, fresh=False: execute(store, plan, first_run(plan), fresh=fresh)


def values(record):
    return {(value.name, value.params.get("resolution")): value for value in record.metrics}


def change(plan, **evaluate):
    metrics = evaluate.pop("metrics", plan.metrics)
    return plan.model_copy(update={"metrics": metrics, "evaluate": plan.evaluate.model_copy(update=evaluate)})


def test_a_run_is_trained_measured_and_recorded(make_plan, run, store, first_run, stamps):
    plan = make_plan()
    record = run(plan)
    assert record == load_record(store, first_run(plan))
    assert (record.status, record.error) == ("done", None)
    assert [(stage.name, stage.status) for stage in record.stages] == [(name, "done") for name in STAGES]
    trained = record.stage("train_tokenizer")
    assert (trained.steps, trained.checkpoint) == (3, "step-00000003.pt")
    assert trained.seconds > 0
    assert trained.peak_memory_bytes > 0
    found = values(record)
    for name in ("psnr", "mae", "psnr_mean_image", "gflops"):
        assert found[name, "16x16"].checkpoint == "ema@3"
    assert found["num_parameters", None].value > 0
    assert record.provenance.finished >= record.provenance.started
    assert list(load_log(store, record.spec.run_id)["step"]) == [0, 2]
    assert list(stamps(plan)) == ["step-00000003.pt"]
    assert not store.lock_path(record.spec.run_id).exists()


def test_what_is_done_is_not_done_again(make_plan, run, store, stamps):
    plan = make_plan()
    first, before = run(plan), stamps(plan)
    log = store.log_path(first.spec.run_id).read_bytes()
    again = run(plan)
    assert (again.stages, again.metrics, again.status) == (first.stages, first.metrics, "done")
    assert again.provenance.started == first.provenance.started
    assert stamps(plan) == before
    assert store.log_path(first.spec.run_id).read_bytes() == log


def test_another_metric_is_measured_without_training(make_plan, run, stamps):
    plan = make_plan()
    first, before = run(plan), stamps(plan)
    second = run(change(plan, metrics=("psnr", "mae", "ssim")))
    assert values(second).keys() - values(first).keys() == {("ssim", "16x16")}
    assert all(values(second)[key] == value for key, value in values(first).items())
    assert stamps(plan) == before
    assert second.stage("train_tokenizer") == first.stage("train_tokenizer")
    assert second.stage("measure_cost") == first.stage("measure_cost")


def test_another_resolution_is_measured_without_training(make_plan, run, stamps):
    plan = make_plan()
    first, before = run(plan), stamps(plan)
    second = run(change(plan, resolutions=("16x16", "24x24")))
    new = values(second).keys() - values(first).keys()
    assert {resolution for _, resolution in new} == {"24x24"}
    assert {"psnr", "mae", "psnr_mean_image", "gflops", "images_per_second_encode"} <= {name for name, _ in new}
    assert all(values(second)[key] == value for key, value in values(first).items())
    assert stamps(plan) == before


def test_fresh_trains_again_and_finds_the_same(make_plan, run, store, first_run, stamps):
    plan = make_plan()
    named = plan.model_copy(update={"seeds": (0, 1)})
    first, before = run(change(named, metrics=("psnr", "mae", "ssim"))), stamps(plan)
    assert first.provenance.command == named.command
    rows = {path: path.stat().st_mtime_ns for path in store.measured_dir(first_run(plan)).rglob("psnr-*.npy")}
    second = run(plan, fresh=True)
    assert second.provenance.command == plan.command != named.command
    assert rows
    assert all(path.stat().st_mtime_ns > before for path, before in rows.items())
    assert stamps(plan)["step-00000003.pt"] > before["step-00000003.pt"]
    assert ("ssim", "16x16") not in values(second)
    kept = [entry for entry in first.outcome()["metrics"] if '"ssim"' not in entry[0]]
    assert second.outcome() == {**first.outcome(), "metrics": kept}


def test_a_failure_is_recorded_with_its_stage_and_kind(make_plan, run, store, first_run, tmp_path):
    plan = make_plan()
    (tmp_path / "images").rename(tmp_path / "elsewhere")
    with pytest.raises(DataError):
        run(plan)
    record = load_record(store, first_run(plan))
    assert record.status == "failed"
    assert (record.error.kind, record.error.stage) == ("DataError", "train_tokenizer")
    assert str(tmp_path / "images") in record.error.message
    assert record.stage("train_tokenizer").status == "failed"
    (tmp_path / "elsewhere").rename(tmp_path / "images")
    mended = run(plan)
    assert (mended.status, mended.error) == ("done", None)
    assert [(stage.name, stage.status) for stage in mended.stages] == [(name, "done") for name in STAGES]


def test_a_failed_measurement_keeps_the_training(make_plan, run, store, first_run, stamps, tmp_path):
    plan = make_plan()
    shutil.move(tmp_path / "images" / "val", tmp_path / "val")
    with pytest.raises(DataError):
        run(plan)
    record, before = load_record(store, first_run(plan)), stamps(plan)
    assert record.error.stage == "evaluate_reconstruction"
    assert [stage.status for stage in record.stages] == ["done", "failed"]
    shutil.move(tmp_path / "val", tmp_path / "images" / "val")
    assert run(plan).status == "done"
    assert stamps(plan) == before


def test_training_that_diverges_is_recorded(make_plan, run, store, first_run):
    plan = make_plan(**{"train__optimizer.learning_rate": 1e30})
    with pytest.raises(NonFiniteLossError):
        run(plan)
    record = load_record(store, first_run(plan))
    assert (record.error.kind, record.error.stage) == ("NonFiniteLossError", "train_tokenizer")
    assert "at step 1: " in record.error.message


def test_a_fault_of_the_program_is_recorded_and_raised(make_plan, run, store, first_run, monkeypatch):
    plan = make_plan()
    monkeypatch.setattr(measure_cost, "run", lambda context: 1 / 0)
    with pytest.raises(ZeroDivisionError):
        run(plan)
    error = load_record(store, first_run(plan)).error
    assert (error.kind, error.stage) == ("ZeroDivisionError", "measure_cost")
    assert error.message == "ZeroDivisionError: division by zero"


@pytest.mark.parametrize("at", ["evaluate_reconstruction", "measure_cost"])
def test_killed_between_the_values_and_the_word_that_they_are_all(make_plan, run, store, first_run, monkeypatch, at):
    """The record must in the end be the same as if nothing had happened."""
    plan = make_plan()

    class Killed(BaseException):
        pass

    def set_stage(writer, stage, real=RunWriter.set_stage):
        if stage.name == at:
            raise Killed
        real(writer, stage)

    with monkeypatch.context() as patch:
        patch.setattr(RunWriter, "set_stage", set_stage)
        with pytest.raises(Killed):
            run(plan)
    assert values(load_record(store, first_run(plan)))
    resumed = run(plan).outcome()
    assert resumed == run(plan, fresh=True).outcome()
    assert [name for name, *_ in resumed["stages"]] == STAGES


def test_an_interrupted_run_goes_on_to_the_same_end(make_plan, run, store, first_run, monkeypatch):
    plan = make_plan()

    def batch(batches, step, real=Batches.batch):
        if step == 1:
            os.kill(os.getpid(), signal.SIGTERM)
        return real(batches, step)

    with monkeypatch.context() as patch:
        patch.setattr(Batches, "batch", batch)
        with pytest.raises(KeyboardInterrupt):
            run(plan)
    record = load_record(store, first_run(plan))
    assert (record.status, record.stage("train_tokenizer").status) == ("interrupted", "running")
    assert [path.name for path in store.checkpoint_dir(first_run(plan)).iterdir()] == ["step-00000002.pt"]
    resumed = run(plan).outcome()
    assert resumed == run(plan, fresh=True).outcome()


def test_a_run_that_another_process_writes_is_refused(make_plan, run, store, first_run):
    plan = make_plan()
    lock = RunLock(store.lock_path(first_run(plan)))
    lock.acquire()
    try:
        with pytest.raises(RunLockedError, match=str(os.getpid())):
            run(plan)
    finally:
        lock.release()
    assert load_record(store, first_run(plan)) is None


@pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has what the test must not find")
def test_a_device_that_is_not_there(make_plan, run, store, first_run):
    plan = make_plan()
    resources = plan.profile.resources.model_copy(update={"device": "cuda"})
    profile = plan.profile.model_copy(update={"resources": resources})
    with pytest.raises(DataError, match="no CUDA device"):
        run(plan.model_copy(update={"profile": profile}))
    assert load_record(store, first_run(plan)) is None
