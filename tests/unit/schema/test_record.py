import json

import pytest
from pydantic import ValidationError

from vtbench.schema.record import MetricValue, RunRecord, StageRecord, metric_key, protocol_fingerprint

VERSION_1 = """{
  "schema_version": 1,
  "spec": {
    "schema_version": 1,
    "run_id": "0123456789ab",
    "config": {
      "tokenizer": {"name": "vibetoken", "pos_embed": "rope"},
      "data": {"name": "icons"},
      "mixing": {"inputs": {"64x64": 1.0}, "targets": null, "horizontal_flip": true},
      "losses": {"mse": 1.0, "quantizer": 1.0, "perceptual": [{"name": "effnet_lite0", "weight": 1.0}], "gan": null},
      "train": {"steps": 10, "batch_size": 4}
    },
    "seed": 0,
    "needs": []
  },
  "status": "done",
  "stages": [{"name": "train_tokenizer", "status": "done", "steps": 10, "seconds": 1.5, "peak_memory_bytes": 9,
              "checkpoint": "step-00000010.pt"}],
  "metrics": [{"name": "psnr", "metric_version": 1, "value": 21.5, "interval": [21.0, 22.0], "num_samples": 8,
               "params": {"resolution": "64x64", "num_tokens": null}, "protocol": "0a1b2c3d4e5f",
               "checkpoint": "ema@10", "deterministic": true}],
  "provenance": {"commit": null, "dirty_hash": null, "packages": {"torch": "2.11.0"}, "hardware": "CPU",
                 "command": "vtbench run", "started": "2026-01-01T00:00:00+00:00", "finished": null},
  "error": null
}"""


@pytest.fixture
def record():
    return RunRecord.model_validate_json(VERSION_1)


def _value(**changes):
    fields = {
        "name": "psnr",
        "metric_version": 1,
        "value": 21.5,
        "num_samples": 8,
        "params": {"resolution": "64x64", "num_tokens": 4},
        "protocol": "p",
        "checkpoint": "ema@10",
    }
    return MetricValue(**{**fields, **changes})


def test_a_record_of_version_1_loads_and_is_written_again_as_it_was(record):
    assert record.stage("train_tokenizer").steps == 10
    assert record.metrics[0].interval == (21.0, 22.0)
    written, read = json.loads(record.model_dump_json()), json.loads(VERSION_1)
    written["spec"].pop("config")
    read["spec"].pop("config")  # its defaults are filled in
    # later than this record
    assert written.pop("protocols") == {}
    assert [stage.pop("num_processes") for stage in written["stages"]] == [1 for _ in read["stages"]]
    assert [value.pop("without_blocks") for value in written["metrics"]] == [[] for _ in read["metrics"]]
    assert written == read


@pytest.mark.parametrize(
    "changes",
    [
        {"name": "ssim"},
        {"metric_version": 2},
        {"params": {"resolution": "64x64", "num_tokens": 8}},
        {"protocol": "q"},
        {"checkpoint": "model@10"},
    ],
)
def test_another_measurement_has_another_key(changes):
    assert _value(**changes).key != _value().key


@pytest.mark.parametrize(
    "changes", [{"value": 1.0}, {"interval": (1.0, 2.0)}, {"num_samples": 9}, {"deterministic": False}]
)
def test_another_outcome_is_the_same_measurement(changes):
    assert _value(**changes).key == _value().key


def test_the_key_can_be_known_before_anything_is_measured():
    params = {"num_tokens": 4, "resolution": "64x64"}
    assert metric_key("psnr", 1, params, "p", "ema@10") == _value().key


def test_a_stage_that_has_not_run_is_none(record):
    assert record.stage("measure_cost") is None


def test_the_outcome_leaves_out_times_and_machines(record):
    stage = record.stages[0].model_copy(update={"seconds": 99.0, "peak_memory_bytes": 1})
    provenance = record.provenance.model_copy(update={"hardware": "another", "started": "later"})
    seconds = _value(name="images_per_second_encode", deterministic=False)
    again = record.model_copy(
        update={"stages": (stage,), "provenance": provenance, "metrics": (seconds, *record.metrics)}
    )
    assert again.outcome() == record.outcome()


@pytest.mark.parametrize(
    "changes",
    [
        {"status": "failed"},
        {"stages": (StageRecord(name="train_tokenizer", status="done", steps=9),)},
        {"metrics": (_value(),)},
    ],
)
def test_the_outcome_holds_what_must_be_reproduced(record, changes):
    assert record.model_copy(update=changes).outcome() != record.outcome()


def test_the_order_of_measuring_does_not_matter(record):
    one, two = _value(), _value(name="mae")
    first, second = (record.model_copy(update={"metrics": metrics}) for metrics in ((one, two), (two, one)))
    assert first.outcome() == second.outcome()


def test_an_unknown_status_is_refused():
    with pytest.raises(ValidationError, match="interrupted"):
        StageRecord(name="train_tokenizer", status="paused")


def test_a_protocols_fingerprint_does_not_depend_on_order():
    assert protocol_fingerprint({"a": 1, "b": 2}) == protocol_fingerprint({"b": 2, "a": 1})
    assert protocol_fingerprint({"a": 1}) != protocol_fingerprint({"a": 2})
    assert len(protocol_fingerprint({})) == 12
