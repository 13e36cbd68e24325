import json

import pytest
from PIL import Image

from vtbench.errors import StoreError
from vtbench.report import gather as gather_module
from vtbench.report.gather import MAX_CURVE_POINTS, gather, load
from vtbench.store.query import load_record
from vtbench.store.writer import RunWriter


def test_what_is_gathered_comes_back(full_store, full_report):
    _, plan = full_store
    data = load(full_report)
    assert data.plan == plan
    assert {run.status for run in data.runs} == {"done"}
    assert {run.seconds for run in data.runs} == {31.5}
    assert len(data.values) == 12 * (3 * 8 + 2)
    assert len(data.curves) == 12


def test_curves_are_thinned_by_block_means(full_report):
    curve = load(full_report).curves[0]
    assert len(curve.steps) == len(curve.values["mse"]) == MAX_CURVE_POINTS
    assert curve.steps[-1] == 599
    assert list(curve.steps) == sorted(set(curve.steps))
    assert set(curve.values["learning_rate"]) == {0.001}


def test_strips_are_those_of_the_first_seed_and_one_original_a_point(full_report):
    strips = load(full_report).strips
    assert len([strip for strip in strips if strip.kind == "original"]) == 3
    assert len([strip for strip in strips if strip.kind == "reconstruction"]) == 12
    assert all(strip.run_id.endswith("-0") for strip in strips)
    for strip in strips:
        with Image.open(full_report / strip.file) as image:
            side = int(strip.resolution.partition("x")[0])
            assert image.size == (8 * side, side)


def test_runs_without_a_record_and_failed_ones_are_kept(synthetic, tmp_path):
    store, plan = synthetic.study(tmp_path / "runs", seeds=(0,), leave_out=("grid-0",), fail=("rope-0",))
    data = gather(store, plan.id, tmp_path / "out")
    status = {run.run_id: run.status for run in data.runs}
    assert status == {"rope-0": "failed", "rope_learned-0": "done", "grid-0": "missing", "grid_adaptive-0": "done"}
    assert next(run.error.kind for run in data.runs if run.error) == "NonFiniteLossError"


def test_values_that_are_not_finite_are_left_out(synthetic, tmp_path):
    store, plan = synthetic.study(tmp_path / "runs", seeds=(0,))
    run_id = "rope-0"
    with RunWriter(store, plan.runs[run_id], load_record(store, run_id).provenance) as writer:
        broken = [value.model_copy(update={"value": float("nan")}) for value in writer.record.metrics]
        writer.add_metrics(broken)
    data = gather(store, plan.id, tmp_path / "out")
    assert run_id not in {value.run_id for value in data.values}
    assert "rope_learned-0" in {value.run_id for value in data.values}


def test_the_fields_of_the_values_protocols_come_along(synthetic, tmp_path):
    store, plan = synthetic.study(tmp_path / "runs", seeds=(0,))
    used = load_record(store, "rope-0").metrics[0].protocol
    with RunWriter(store, plan.runs["rope-0"], load_record(store, "rope-0").provenance) as writer:
        writer.add_metrics([], {used: {"crop": "adm"}, "of no value": {"crop": "none"}})
    assert gather(store, plan.id, tmp_path / "out").protocols == {used: {"crop": "adm"}}
    assert load(tmp_path / "out").protocols == {used: {"crop": "adm"}}


def test_pictures_of_an_earlier_report_go(synthetic, tmp_path):
    store, plan = synthetic.study(tmp_path / "runs", seeds=(0,))
    old = tmp_path / "out" / "samples" / "old.png"
    old.parent.mkdir(parents=True)
    old.touch()
    gather(store, plan.id, tmp_path / "out")
    assert not old.exists()


def test_a_folder_without_a_report_and_a_newer_one_are_refused(full_report, tmp_path):
    with pytest.raises(StoreError, match=r"data\.json is missing"):
        load(tmp_path)
    raw = json.loads((full_report / "data.json").read_text())
    (tmp_path / "data.json").write_text(json.dumps({**raw, "schema_version": 9}))
    with pytest.raises(StoreError, match="version 9"):
        load(tmp_path)


def test_many_runs_keep_fewer_points_of_each_curve(full_store, tmp_path, monkeypatch):
    store, plan = full_store
    monkeypatch.setattr(gather_module, "ALL_CURVE_POINTS", 12 * 50)
    data = gather(store, plan.id, tmp_path / "out")
    assert {len(curve.steps) for curve in data.curves} == {50}
    assert {curve.steps[-1] for curve in data.curves} == {599}


def test_of_very_many_runs_only_those_drawn_keep_their_curves(full_store, tmp_path, monkeypatch):
    store, plan = full_store
    chosen = list(plan.runs)[1:3]
    few = gather(store, plan.id, tmp_path / "out", lambda data: chosen)
    assert {curve.run_id for curve in few.curves} == set(plan.runs)
    monkeypatch.setattr(gather_module, "ALL_CURVE_POINTS", 600)
    many = gather(store, plan.id, tmp_path / "out", lambda data: chosen)
    assert {curve.run_id for curve in many.curves} == set(chosen)
    assert load(tmp_path / "out") == many


def test_what_a_log_leaves_out_is_none_in_the_curve(synthetic, tmp_path):
    store, plan = synthetic.study(tmp_path / "runs", seeds=(0,))
    lines = ['{"step": 2, "b": NaN, "c": "x"}', '{"step": 1, "a": 1.23456789, "b": 3}', '{"step": 3, "a": null}']
    store.log_path("rope-0").write_text("\n".join([*lines, ""]))
    curve = gather(store, plan.id, tmp_path / "out").curves[0]
    assert curve.run_id == "rope-0"
    assert curve.steps == (1, 2, 3)
    assert curve.values == {"a": (1.23457, None, None), "b": (3.0, None, None)}


def test_pictures_of_generators_are_of_the_first_seed_and_the_points_that_plots_show(generation_report):
    strips = load(generation_report).strips
    assert all((generation_report / strip.file).exists() for strip in strips)
    samples = [strip for strip in strips if strip.kind == "samples"]
    neighbours = [strip for strip in strips if strip.kind == "neighbours"]
    assert len(samples) == 2 * (4 + 1)
    assert len(neighbours) == 2 * 4
    assert {strip.run_id for strip in strips if strip.kind in ("samples", "neighbours")} == {"rope-0", "rope_learned-0"}
    (guided,) = {(s.resolution, s.num_tokens) for s in samples if s.sampling.cfg_scale == 2}
    assert guided == ("32x32", 16)
