import subprocess
import sys

import numpy as np
import pytest

import vtbench
from vtbench.errors import StoreError
from vtbench.evaluate.kept_rows import KeptRows, point_name, write_index
from vtbench.report.gather import gather
from vtbench.report.tidy import load
from vtbench.schema.record import MetricValue


@pytest.fixture(scope="module")
def stored(synthetic, tmp_path_factory):
    """A store with a study one of whose runs is missing, and a report of it."""
    folder = tmp_path_factory.mktemp("tidy")
    store, plan = synthetic.study(folder / "runs", seeds=(0, 1), leave_out=("grid-1",))
    gather(store, plan.id, folder / "report")
    return folder, store, plan


@pytest.fixture(params=["runs", "report"])
def results(stored, request):
    return load("pos_embed", root=stored[0] / request.param)


def test_runs(results):
    runs = results.runs
    assert list(runs.columns[:4]) == ["arm", "title", "seed", "run_id"]
    assert len(runs) == 8
    assert runs.set_index("run_id").status.to_dict()["grid-1"] == "missing"
    row = runs.set_index("run_id").loc["rope-0"]
    assert (row.title, row.status, row.seconds, row.commit) == ("RoPE", "done", 31.5, "c0ffee0123")
    assert (row.steps, row.images_seen, row.training_flops) == (600, 9600, 2.5e13)


def test_values(results, stored):
    values = results.values
    assert set(values.run_id) == set(results.runs[results.runs.status == "done"].run_id)
    assert not values.duplicated(["run_id", "metric", "resolution", "num_tokens", "route"]).any()
    mean = values[values.metric == "rfd_effnet"].groupby(["arm", "resolution"]).value.mean()
    assert mean["grid_adaptive", "96x96"] < mean["rope", "96x96"]
    one = values[(values.metric == "rfd_effnet") & (values.run_id == "rope-0")].iloc[0]
    assert one.low == pytest.approx(one.value - 1)
    assert one.num_samples == 384


def test_both_sources_give_the_same_values(stored):
    tables = [load("pos_embed", root=stored[0] / name).values for name in ("runs", "report")]
    order = ["run_id", "metric", "resolution"]
    first, second = (table.sort_values(order).reset_index(drop=True) for table in tables)
    assert first.drop(columns=["num_tokens", "route"]).equals(
        second[first.columns].drop(columns=["num_tokens", "route"])
    )


def test_values_of_samples_say_how_they_were_drawn(generation_report):
    values = load("pos_embed", root=generation_report).values
    sampled = values[values.metric == "gfd_effnet"]
    assert set(sampled.cfg_scale) == {1.0, 2.0}
    assert not sampled.duplicated(["run_id", "resolution", "num_tokens", "cfg_scale"]).any()
    assert values[values.metric == "num_parameters"].cfg_scale.isna().all()


def test_studies_of_tokenizers_have_no_columns_of_sampling(results):
    assert not {"cfg_scale", "top_k", "top_p", "temperature"} & set(results.values.columns)


def test_curves(stored):
    live = load("pos_embed", root=stored[0] / "runs").curves
    kept = load("pos_embed", root=stored[0] / "report").curves
    assert list(live.columns[4:]) == ["step", "loss", "mse", "learning_rate"]
    assert len(live[live.run_id == "rope-0"]) == 300
    assert len(kept[kept.run_id == "rope-0"]) == 200
    assert kept[kept.run_id == "rope-0"].mse.iloc[-1] < kept[kept.run_id == "rope-0"].mse.iloc[0]


def test_values_of_single_images(synthetic, tmp_path):
    plan = synthetic.plan(seeds=(0,))
    store, plan = synthetic.study(tmp_path / "runs", seeds=(0,), leave_out=tuple(plan.runs))
    numbers = np.arange(5.0)
    value = MetricValue(
        name="psnr",
        metric_version=1,
        value=2.0,
        num_samples=5,
        params={"resolution": "96x96", "num_tokens": None},
        protocol="0123456789ab",
        checkpoint="last",
    )
    cell = plan.cells[0]
    kept = KeptRows(store.measured_dir(cell.run_id) / point_name("96x96", None), {"checkpoint": "last"}, 1)
    kept.write_chunk(kept.chunk_path(0, ["psnr"]), {"psnr": numbers}, "digest")
    kept.finish(["psnr"], len(numbers))
    write_index(kept.folder, value, {"psnr": [kept.path("psnr")]})
    synthetic.run(store, plan, cell, values=[value])
    found = load("pos_embed", root=tmp_path / "runs").per_image
    assert found[["run_id", "metric", "resolution", "image", "value"]].to_numpy().tolist() == [
        ["rope-0", "psnr", "96x96", image, float(image)] for image in range(5)
    ]


def test_a_report_keeps_nothing_of_single_images(stored):
    assert load("pos_embed", root=stored[0] / "report").per_image.empty


def test_axes_are_columns(synthetic, tmp_path, stored):
    _, store, plan = stored
    cells = tuple(cell.model_copy(update={"coordinates": {"train.steps": cell.seed}}) for cell in plan.cells)
    results = load("pos_embed", root=store.root)
    results.plan = plan.model_copy(update={"cells": cells})
    assert list(results.runs["train.steps"]) == [cell.seed for cell in cells]
    assert list(results.values.columns[:5]) == ["arm", "title", "train.steps", "seed", "run_id"]


def test_where_results_are_looked_for(stored, tmp_path, monkeypatch):
    folder, store, _ = stored
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("VTBENCH_ROOT", str(store.root))
    assert repr(vtbench.load("pos_embed")) == "StudyResults(pos_embed@tiny, 8 runs, from the store runs)"
    monkeypatch.setenv("VTBENCH_ROOT", str(tmp_path / "none"))
    (tmp_path / "reports").mkdir()
    (tmp_path / "reports" / "pos_embed").symlink_to(folder / "report")
    assert repr(vtbench.load("pos_embed")) == "StudyResults(pos_embed@tiny, 8 runs, from the report pos_embed)"
    (tmp_path / "reports" / "pos_embed-gpu").symlink_to(folder / "report")
    with pytest.raises(StoreError, match="is the report of pos_embed@tiny, not of pos_embed@gpu"):
        vtbench.load("pos_embed", "gpu")


@pytest.mark.parametrize(("name", "hint"), [("pos_embd", "Did you mean 'pos_embed'"), ("none", "vtbench run` makes")])
def test_no_results(name, hint, tmp_path, monkeypatch, stored):
    monkeypatch.setenv("VTBENCH_ROOT", str(tmp_path))
    with pytest.raises(StoreError, match=hint):
        vtbench.load(name)
    with pytest.raises(StoreError, match=f"no results of {name}@gpu"):
        vtbench.load(name, "gpu", stored[1].root)


def test_reading_needs_no_torch(stored):
    code = (
        "import sys, vtbench; found = vtbench.load('pos_embed', root=sys.argv[1]); print(len(found.values))\n"
        "print('torch' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(stored[0] / "runs")], capture_output=True, text=True, check=True
    )
    assert done.stdout.splitlines()[1] == "False"
