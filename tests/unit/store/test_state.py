import json
import os
import time

import pytest

from vtbench.schema.record import RunError, StageRecord
from vtbench.store.failure import Cause
from vtbench.store.lock import Holder
from vtbench.store.state import Job, count_states, read_states
from vtbench.store.writer import RunWriter

RUN = "0123456789ab"


@pytest.fixture
def write(store, make_spec, provenance):
    """Open the run for writing."""
    return lambda: RunWriter(store, make_spec(RUN), provenance)


def look(store, **jobs):
    return read_states(store, [RUN], lambda run_ids: jobs)[RUN]


def test_what_nobody_has_touched_is_not_started(store):
    assert look(store).state == "not started"
    store.run_dir(RUN).mkdir(parents=True)
    assert look(store).state == "not started"


def test_a_run_that_trains_tells_how_far_it_is(store, write):
    with write() as writer:
        writer.log(3, {"loss": 0.5})
        writer.log(4, {"loss": 0.25, "grad_norm": 1.0})
        writer.progress("train_tokenizer", 5, 10, rate=2.0)
        found = look(store)
    assert (found.state, found.stage, found.step, found.total) == ("running", "train_tokenizer", 5, 10)
    assert found.loss == 0.25
    assert found.images_per_second == 2.0 * 4
    assert found.seconds_left == pytest.approx(2.5, abs=0.5)
    assert found.node == Holder.of_this_process().host
    assert found.seconds_ago < 5
    assert found.failure is None


def test_a_run_that_measures_has_no_rate(store, write):
    with write() as writer:
        writer.progress("evaluate_reconstruction", 1, 3)
        found = look(store)
    assert (found.images_per_second, found.seconds_left, found.loss) == (None, None, None)


def test_a_lock_before_the_first_record_is_a_run_that_starts(store):
    store.run_dir(RUN).mkdir(parents=True)
    store.lock_path(RUN).write_text(json.dumps(vars(Holder.of_this_process())))
    assert look(store).state == "running"


def test_a_finished_run_has_its_steps_and_age(store, write):
    with write() as writer:
        writer.set_stage(StageRecord(name="train_tokenizer", status="done", steps=10))
        writer.update(status="done")
    old = time.time() - 100
    os.utime(store.record_path(RUN), (old, old))
    found = look(store)
    assert (found.state, found.step, found.total) == ("done", 10, None)
    assert found.seconds_ago == pytest.approx(100, abs=5)


def test_a_failed_run_has_its_cause(store, write):
    with write() as writer:
        writer.progress("train_tokenizer", 5, 10, rate=2.0)
        writer.update(status="failed", error=RunError(kind="NonFiniteLossError", message="training broke at step 5"))
    store.worker_log_path(RUN).write_text("one\ntwo\n")
    found = look(store)
    assert (found.state, found.step) == ("failed", 5)
    assert found.failure.cause == Cause.NAN
    assert found.failure.last_lines == ("one", "two")
    assert found.reason == "NaN: training broke at step 5"
    assert found.images_per_second is found.seconds_left is found.node is None


def test_a_process_that_is_gone_without_a_word_is_stopped(store, write):
    with write() as writer:
        writer.update(status="running")
    store.worker_log_path(RUN).write_text("step 3\nKilled\n")
    found = look(store)
    assert (found.state, found.failure.cause) == ("stopped", Cause.OUT_OF_MEMORY)
    ended = look(store, **{RUN: Job(id="7", state="ended", node="n1", reason="TIMEOUT")})
    assert (ended.state, ended.failure.cause, ended.node, ended.job) == ("stopped", Cause.TIME_OUT, "n1", "7")


def test_files_count_before_what_the_batch_system_says(store, write):
    waits = {RUN: Job(id="7", state="queued", reason="Resources")}
    assert look(store, **waits).state == "queued"
    with write() as writer:
        assert look(store, **waits).state == "running"
        writer.update(status="interrupted")
    assert look(store).state == "interrupted"
    found = look(store, **waits)
    assert (found.state, found.reason, found.job) == ("queued", "Resources", "7")
    with write() as writer:
        writer.update(status="done")
    assert look(store, **waits).state == "done"


def test_a_job_that_ended_before_it_wrote_anything_is_stopped(store):
    found = look(store, **{RUN: Job(id="7", state="ended", reason="NODE_FAIL")})
    assert (found.state, found.failure.cause) == ("stopped", Cause.NODE)


def test_a_broken_record_says_where_and_hides_no_other_run(store, write):
    with write() as writer:
        writer.update(status="done")
    store.run_dir("other").mkdir()
    store.record_path("other").write_text('{"schema_version": 1,')
    found = read_states(store, [RUN, "other", "none"])
    assert [state.state for state in found.values()] == ["done", "broken", "not started"]
    assert "other/record.json:1: not JSON" in found["other"].reason
    assert count_states(found.values()) == {"broken": 1, "not started": 1, "done": 1}


def test_a_log_that_ends_in_a_torn_line(store, write):
    with write() as writer:
        writer.log(1, {"loss": 0.5})
        with store.log_path(RUN).open("a") as file:
            file.write('{"step": 2, "lo')
        assert look(store).loss == 0.5


def test_the_batch_system_is_asked_once_and_only_for_what_is_open(store, write):
    with write() as writer:
        writer.update(status="done")
    asked = []

    def jobs(run_ids):
        asked.append(list(run_ids))
        return {"b": Job(id="7", state="queued", reason="Priority")}

    found = read_states(store, [RUN, "a", "b"], jobs)
    assert asked == [["a", "b"]]
    assert {name: state.state for name, state in found.items()} == {RUN: "done", "a": "not started", "b": "queued"}
    assert list(found) == [RUN, "a", "b"]
    read_states(store, [RUN], jobs)
    assert len(asked) == 1
