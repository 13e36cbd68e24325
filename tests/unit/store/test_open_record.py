import pytest

from vtbench.schema.record import RunRecord, StageRecord
from vtbench.store.open_record import OpenRecord, RunFollower
from vtbench.store.query import load_record
from vtbench.store.writer import RunWriter


def test_a_follower_sees_the_record_and_changes_nothing_on_disk(store, make_spec, provenance, make_value):
    spec = make_spec()
    with RunWriter(store, spec, provenance) as writer:
        follower = RunFollower(RunRecord.model_validate_json(writer.record.model_dump_json()))
        assert follower.record == writer.record
        before = {path: path.read_bytes() for path in store.run_dir(spec.run_id).iterdir()}
        follower.set_stage(StageRecord(name="train_tokenizer", status="done"))
        follower.add_metrics([make_value()])
        follower.log(0, {"loss": 1.0})
        follower.sync_log()
        follower.truncate_log(-1)
        follower.progress("train_tokenizer", 1, 2)
        assert {path: path.read_bytes() for path in store.run_dir(spec.run_id).iterdir()} == before
        assert load_record(store, spec.run_id) == writer.record
    assert follower.record.stage("train_tokenizer").status == "done"
    assert [value.name for value in follower.record.metrics] == ["psnr"]


def test_both_are_open_records(store, make_spec, provenance):
    assert issubclass(RunWriter, OpenRecord)
    with pytest.raises(RuntimeError, match="with"):
        _ = RunWriter(store, make_spec(), provenance).record
