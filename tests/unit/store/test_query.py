import json
import math

import pytest

from vtbench.errors import StoreError
from vtbench.schema.record import RunRecord
from vtbench.store import query

VERSION_1 = """{
 "schema_version": 1,
 "spec": {"schema_version": 1, "run_id": "0123456789ab", "seed": 3, "needs": [],
  "config": {
   "tokenizer": {"name": "vibetoken", "pos_embed": "grid", "num_latent_tokens": 32},
   "data": {"name": "icons"},
   "mixing": {"inputs": {"32x32": 0.5, "48x32": 0.5}, "targets": null, "horizontal_flip": true},
   "losses": {"mse": 1.0, "quantizer": 1.0, "perceptual": [{"name": "effnet_lite0", "weight": 0.5}], "gan": null},
   "train": {"steps": 100, "batch_size": 16, "num_tokens": {"min": 8, "max": 32},
    "optimizer": {"name": "muon", "learning_rate": 0.002, "betas": [0.9, 0.999], "weight_decay": 0.0,
     "muon_learning_rate": 0.02, "muon_momentum": 0.95},
    "schedule": {"warmup_steps": 10, "final_factor": 0.1}, "ema": {"decay": 0.99}, "grad_clip": 1.0,
    "precision": "fp32", "compile": false, "checkpoint_every": 50, "log_every": 10, "num_workers": 0}}},
 "status": "done",
 "stages": [{"name": "train_tokenizer", "status": "done", "steps": 100, "seconds": 12.5, "peak_memory_bytes": 1000,
  "checkpoint": "step_100"}],
 "metrics": [{"name": "psnr", "metric_version": 1, "value": 17.25, "interval": [17.0, 17.5], "num_samples": 384,
  "params": {"resolution": "32x32", "num_tokens": null}, "protocol": "abcdefabcdef", "checkpoint": "step_100",
  "deterministic": true}],
 "provenance": {"commit": "c0ffee", "dirty_hash": null, "packages": {"torch": "2.15.0"}, "hardware": "a CPU",
  "command": "python -m vtbench run s", "started": "2026-01-01T00:00:00+00:00", "finished": null},
 "error": null
}"""


def _write(store, text, run_id="0123456789ab"):
    path = store.record_path(run_id)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def test_a_record_of_version_1_loads(store):
    _write(store, VERSION_1)
    record = query.load_record(store, "0123456789ab")
    assert record.spec.seed == 3
    assert record.spec.config.tokenizer.options == {"pos_embed": "grid", "num_latent_tokens": 32}
    assert record.spec.config.train.optimizer.betas == (0.9, 0.999)
    assert record.stage("train_tokenizer").seconds == 12.5
    assert record.metrics[0].interval == (17.0, 17.5)
    assert record.metrics[0].params == {"resolution": "32x32", "num_tokens": None}
    written, old = json.loads(query.dump(record)), json.loads(VERSION_1)
    assert [value.pop("without_blocks") for value in written["metrics"]] == [[] for _ in old["metrics"]]
    config = old["spec"]["config"]
    config["train"] |= {"grad_accumulation": 1, "parallel": "ddp"}
    config["train"]["num_tokens"] |= {"draw": "uniform", "per": "batch"}
    config["mixing"]["per"] = "batch"
    old["stages"][0]["num_processes"] = 1
    old["spec"]["config"]["generator"] = None
    assert written == {**old, "protocols": {}}


def test_a_newer_version_is_refused(store):
    _write(store, VERSION_1.replace('"schema_version": 1', '"schema_version": 7', 1))
    with pytest.raises(StoreError, match=r"record\.json has version 7; this vtbench reads versions up to 1\. Update"):
        query.load_record(store, "0123456789ab")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("{}", "no schema_version"),
        ("[]", "no schema_version"),
        (VERSION_1.replace('"done"', '"finished"', 1), "status"),
        (VERSION_1.replace('"seed": 3', '"seed": 3, "sead": 3'), r"spec\.sead"),
        (VERSION_1[:100], r"record\.json:\d+: not JSON"),
    ],
)
def test_a_broken_record_names_the_file_and_place(store, text, said):
    _write(store, text)
    with pytest.raises(StoreError, match=said):
        query.load_record(store, "0123456789ab")


def test_no_record_is_none(store):
    assert query.load_record(store, "nothing") is None


def test_a_plan_comes_back_as_it_was(store, plan):
    query.save_plan(store, plan)
    assert query.load_plan(store, "s@tiny") == plan
    with pytest.raises(StoreError, match=r"no plan 's@gpu'; it has s@tiny"):
        query.load_plan(store, "s@gpu")


def test_a_log_without_its_torn_last_line(store):
    path = store.log_path("r")
    path.parent.mkdir(parents=True)
    path.write_text('{"step": 1, "loss": 2.0}\n{"step": 2, "loss": NaN, "mse": 1.0}\n{"step": 3, "lo')
    log = query.load_log(store, "r")
    assert list(log.columns) == ["step", "loss", "mse"]
    assert log["step"].tolist() == [1, 2]
    assert math.isnan(log["loss"][1])
    assert query.load_log(store, "other").empty


@pytest.mark.parametrize("line", ['{"step": 2, "lo', '{"loss": 1.0}', "3"])
def test_a_broken_line_inside_a_log_is_named(store, line):
    path = store.log_path("r")
    path.parent.mkdir(parents=True)
    path.write_text(f'{{"step": 1}}\n{line}\n{{"step": 3}}\n')
    with pytest.raises(StoreError, match=r"metrics\.jsonl:2: "):
        query.load_log(store, "r")


def test_progress_of_another_shape_is_refused(store):
    path = store.progress_path("r")
    path.parent.mkdir(parents=True)
    path.write_text('{"stage": "x"}')
    with pytest.raises(StoreError, match="not a progress file"):
        query.load_progress(store, "r")


@pytest.fixture
def record(make_spec, provenance, make_value):
    def make(run_id, *values, status="done"):
        return RunRecord(spec=make_spec(run_id), status=status, metrics=values, provenance=provenance)

    return make


def test_rows_keep_cells_without_values(store, plan, record, make_value):
    records = {"a1": record("a1", make_value(value=5.0)), "b": record("b", status="failed")}
    table = query.rows(plan, records)
    assert table["arm"].tolist() == ["a", "a", "b", "b"]
    assert table["train.steps"].tolist() == [1, 2, 1, 2]
    assert table["status"].tolist() == ["done", "missing", "failed", "failed"]
    assert table["value"].isna().tolist() == [False, True, True, True]
    first = table.iloc[0]
    assert (first["metric"], first["value"], first["num_samples"], first["protocol"]) == ("psnr", 5.0, 64, "p")
    assert (first["resolution"], first["run_id"], first["seed"]) == ("32x32", "a1", 0)
    assert len(query.rows(plan, {})) == 4


def test_a_run_shared_by_two_cells_is_in_both(plan, record, make_value):
    table = query.rows(plan, {"b": record("b", make_value(value=5.0))})
    assert table.loc[table["arm"] == "b", "value"].tolist() == [5.0, 5.0]


def test_rows_leave_out_points_of_other_studies(plan, record, make_value):
    values = [
        make_value(value=1.0),
        make_value(value=2.0, params={"resolution": "512x512", "num_tokens": None}),
        make_value(value=3.0, params={"resolution": "32x32", "num_tokens": 8}),
        make_value("num_parameters", 4.0, params={}),
    ]
    table = query.rows(plan, {"a1": record("a1", *values)}).query("run_id == 'a1'")
    assert table["value"].tolist() == [1.0, 4.0]


def test_of_several_measurements_the_plans_number_of_samples_counts_then_the_newest(plan, record, make_value):
    values = [
        make_value(value=1.0, protocol="a", num_samples=64),
        make_value(value=2.0, protocol="b", num_samples=64, metric_version=2),
        make_value(value=3.0, protocol="c", num_samples=500, metric_version=3),
    ]
    table = query.rows(plan, {"a1": record("a1", *values)}).query("run_id == 'a1'")
    assert table["value"].tolist() == [2.0]


def test_load_records_leaves_out_what_is_not_there(store, plan):
    _write(store, VERSION_1, "a1")
    assert list(query.load_records(store, plan)) == ["a1"]


def test_the_cells_of_a_plan_are_read_without_its_configs(store, plan):
    query.save_plan(store, plan.model_copy(update={"overrides": {"train.steps": 3}}))
    (plan_id,) = query.plan_ids(store)
    assert query.plan_ids(store, "s") == query.plan_ids(store, plan_id) == [plan_id]
    assert query.plan_ids(store, "t") == []
    found = query.load_cells(store, plan_id)
    assert found.id == query.load_plan(store, plan_id).id == plan_id
    assert found.cells == plan.cells
    assert found.run_ids == list(plan.runs)
    assert [cell.run_id for cell in found.first_cells().values()] == ["a1", "a2", "b"]


def test_a_broken_plan_is_named_also_without_its_configs(store, plan):
    query.save_plan(store, plan)
    path = store.plan_path("s@tiny")
    path.write_text(path.read_text()[:-200])
    with pytest.raises(StoreError, match=r"plan\.json:\d+: not JSON"):
        query.load_cells(store, "s@tiny")
    with pytest.raises(StoreError, match="holds no plan 'x@tiny'; it has s@tiny"):
        query.load_cells(store, "x@tiny")


def test_the_point_of_generated_images_is_read_from_params():
    sampling = {"cfg_scale": 2.0, "top_k": None, "top_p": 0.9, "temperature": 1.0}
    found = query.generation_point({"resolution": "32x32", "num_tokens": 4, **sampling, "convention": "full"})
    assert found is not None
    assert found.params == {"resolution": "32x32", "num_tokens": 4, **sampling}
    assert query.generation_point({"resolution": "32x32", "num_tokens": 4}) is None
