"""One process here; what several do is in tests/integration/test_distributed.py."""

import pytest
import torch

from vtbench.distributed.watch import Failure
from vtbench.errors import DataError, ProcessLostError, RunLockedError, StoreError, TrainingError
from vtbench.runner import team
from vtbench.schema.record import StageRecord
from vtbench.store.files import write_atomic
from vtbench.store.layout import Store
from vtbench.store.query import load_record
from vtbench.store.writer import RunWriter


@pytest.fixture
def spec(make_plan, first_run):
    plan = make_plan()
    return plan.runs[first_run(plan)]


def test_alone_there_is_nobody_to_join_or_to_tell(store, spec):
    with team.joined(torch.device("cpu")) as watch, team.opened(store, spec, "test", watch) as record:
        assert watch is None
        assert isinstance(record, RunWriter)
        team.share(record, watch)
        assert team.announce(watch, DataError("no images"), "train_tokenizer") is None


def test_why_a_run_failed_is_written(store, spec):
    with team.opened(store, spec, "test", None) as record:
        record.set_stage(StageRecord(name="train_tokenizer", status="running", steps=3))
        team.record_failure(record, "train_tokenizer", "DataError", "no images")
    found = load_record(store, spec.run_id)
    assert (found.status, found.error.kind, found.error.message) == ("failed", "DataError", "no images")
    assert (found.stage("train_tokenizer").status, found.stage("train_tokenizer").steps) == ("failed", 3)


def test_a_disk_that_is_gone_does_not_hide_the_error(store, spec, tmp_path):

    def fail():
        with team.opened(store, spec, "test", None) as record:
            store.root.rename(tmp_path / "gone")
            team.record_failure(record, "train_tokenizer", "DataError", "no images")
            raise DataError("no images")

    with pytest.raises(DataError):
        fail()
    assert not store.root.exists()
    assert load_record(Store(tmp_path / "gone"), spec.run_id).status == "running"


def test_words_and_what_to_raise():
    assert team.words(DataError("no images")) == "no images"
    assert team.words(ValueError("3")) == "ValueError: 3"
    failure = Failure(1, "n7", "DataError", "no images", "train_tokenizer")
    assert isinstance(team.as_error(failure), TrainingError)
    assert "process 1 of 1 on n7: no images" in str(team.as_error(failure))
    assert isinstance(team.as_error(Failure(1, "n7", "KeyboardInterrupt", "", "")), KeyboardInterrupt)


def test_a_broken_connection_is_a_lost_process_only_where_there_are_others(monkeypatch):
    error = RuntimeError("[gloo/transport/tcp/pair.cc:561] Connection closed by peer [127.0.0.1]:53474\nmore")
    assert team.lost(error) is error
    monkeypatch.setenv("WORLD_SIZE", "2")
    found = team.lost(error)
    assert isinstance(found, ProcessLostError)
    assert "Connection closed by peer" in str(found)
    assert "more" not in str(found)
    other = RuntimeError("mat1 and mat2 shapes cannot be multiplied")
    assert team.lost(other) is other


@pytest.mark.parametrize(("kind", "status"), [("DataError", "failed"), ("KeyboardInterrupt", "interrupted")])
def test_another_processs_end_is_written_and_the_run_given_back(store, spec, kind, status):
    with team.opened(store, spec, "test", None) as record:
        record.set_stage(StageRecord(name="evaluate_reconstruction", status="running"))
        team._end_writing(record, Failure(1, "n7", kind, "no images", ""))
        assert not store.lock_path(spec.run_id).exists()
    found = load_record(store, spec.run_id)
    assert found.status == status
    if status == "failed":
        assert found.error.stage == "evaluate_reconstruction"
        assert "process 1 of 1 on n7: no images" in found.error.message


def test_a_run_that_another_process_writes_is_refused(store, spec):
    with team.opened(store, spec, "test", None), pytest.raises(RunLockedError), team.opened(store, spec, "a", None):
        pass


def test_a_broken_record_is_named_before_anything_is_done(store, spec):
    write_atomic(store.record_path(spec.run_id), "{")
    with pytest.raises(StoreError, match=r"record\.json"), team.opened(store, spec, "test", None):
        pytest.fail("opened all the same")
