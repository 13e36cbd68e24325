import pytest

from vtbench.evaluate import METRICS
from vtbench.schema.record import MetricValue, RunError, StageRecord
from vtbench.store.layout import Store
from vtbench.store.provenance import collect
from vtbench.store.query import save_plan
from vtbench.store.writer import RunWriter
from vtbench.study.expand import expand
from vtbench.study.load import load_study


@pytest.fixture
def plan(folder):
    return expand(load_study(folder / "studies" / "small.yaml"))


@pytest.fixture
def store(folder):
    return Store(folder / "runs")


@pytest.fixture
def write(store, plan):
    """Write the record of an arm's run: done, with these metrics."""

    def write(arm, metrics=("psnr", "mae"), status="done", num_samples=4, **fields):
        run_id = next(cell.run_id for cell in plan.cells if cell.arm == arm)
        with RunWriter(store, plan.runs[run_id], collect("python -m vtbench run small")) as writer:
            writer.set_stage(StageRecord(name="train_tokenizer", status="done", steps=3))
            writer.add_metrics(
                [
                    MetricValue(
                        name=name,
                        metric_version=METRICS.load(name).version,
                        value=1.0,
                        num_samples=num_samples,
                        params={"resolution": "16x16", "num_tokens": None},
                        protocol="p",
                        checkpoint="c",
                    )
                    for name in metrics
                ]
            )
            writer.update(status=status, **fields)
        return run_id

    return write


def test_a_run_with_all_values_is_reused(call, write):
    run_id = write("grid")
    shown = call("explain", "small/grid/0").stdout
    assert f"run {run_id} (small@tiny: grid/0)" in shown
    assert "state: done" in shown
    assert "made by `python -m vtbench run small`" in shown
    assert "reused: the same config, seed and identity version" in shown


def test_the_id_of_a_run_of_the_studys_file(call, write):
    run_id = write("grid")
    assert "reused: the same config" in call("explain", run_id[:8], "--study", "small").stdout


def test_values_that_are_missing_are_named_with_the_reason(call, write):
    write("grid", metrics=["psnr"])
    assert "  mae at 16x16: never measured\n" in call("explain", "small/grid/0").stdout
    write("grid", metrics=["mae"], num_samples=2)
    shown = call("explain", "small/grid/0").stdout
    assert "1 values are to be measured for small@tiny:" in shown
    assert "  mae at 16x16: stored over 2 images, asked over 4\n" in shown


def test_a_run_that_failed(call, write):
    write("grid", status="failed", error=RunError(kind="NonFiniteLossError", message="training broke at step 2"))
    shown = call("explain", "small/grid/0").stdout
    assert "state: failed (NaN: training broke at step 2)" in shown
    assert "not reused: it has not come to its end" in shown


def test_what_differs_from_the_nearest_record(call, write, store, plan):
    save_plan(store, plan)
    grid = write("grid")
    write("rope")
    shown = call("explain", "small/grid/0", "--set", "train.steps=5", "--set", "train.optimizer.name=muon").stdout
    assert f"not reused: no stored run has this config and seed. The nearest, {grid} (small@tiny: grid/0)" in shown
    rows = [line.split() for line in shown.splitlines()]
    assert ["train.steps", "5", "3"] in rows
    assert ["train.optimizer.name", '"muon"', '"adamw"'] in rows
    assert not any(row and row[0].startswith("tokenizer") for row in rows)
    other_seed = call("explain", "small/grid/1", "--seeds", "2").stdout
    assert ["seed", "1", "0"] in [line.split() for line in other_seed.splitlines()]


def test_an_empty_store(call):
    assert "runs holds no run that it could be compared with" in call("explain", "small/grid/0").stdout


def test_a_stored_run_without_a_plan(call, write, plan):
    run_id = write("grid")
    assert "No stored plan asks for it" in call("explain", run_id[:8]).stdout


def test_options_of_a_file_need_one(call, store, plan):
    save_plan(store, plan)
    for options in (["--profile", "gpu"], ["--seeds", "2"], ["--set", "train.steps=4"]):
        result = call("explain", plan.cells[0].run_id, *options)
        assert result.exit_code == 2
        assert "need a study's file" in result.stderr


def test_a_cell_that_the_study_does_not_have(call):
    result = call("explain", "small/gird/0")
    assert result.exit_code == 2
    assert (
        "No run in studies/small.yaml at the profile tiny is called 'gird/0'. Did you mean 'grid/0'?" in result.stderr
    )
    assert "has no profile 'tinny'" in call("explain", "small@tinny/grid/0").stderr
