import json
import math
import signal
import subprocess
import sys

import pytest

from vtbench.errors import RunLockedError, StoreError
from vtbench.schema.record import StageRecord
from vtbench.schema.run import RunSpec
from vtbench.store import query
from vtbench.store.lock import live_holder
from vtbench.store.writer import RunWriter

ENDLESS_RUN = """
import sys
from pathlib import Path
from vtbench.schema.record import MetricValue, Provenance, StageRecord
from vtbench.schema.run import RunSpec
from vtbench.store.layout import Store
from vtbench.store.writer import RunWriter
spec = RunSpec.model_validate_json(sys.stdin.read())
provenance = Provenance(commit=None, dirty_hash=None, packages={}, hardware="", command="", started="")
with RunWriter(Store(Path(sys.argv[1])), spec, provenance) as writer:
    print("started", flush=True)
    for step in range(1, 10**9):
        writer.log(step, {"loss": 1 / step})
        writer.progress("train_tokenizer", step, 10**9)
        writer.set_stage(StageRecord(name="train_tokenizer", status="running", steps=step))
"""


def test_creates_a_record_and_holds_the_lock(store, make_spec, provenance):
    spec = make_spec()
    with RunWriter(store, spec, provenance) as writer:
        assert writer.record.status == "running"
        assert live_holder(store.lock_path(spec.run_id)) is not None
        with pytest.raises(RunLockedError), RunWriter(store, spec, provenance):
            pass
    assert live_holder(store.lock_path(spec.run_id)) is None
    assert query.load_record(store, spec.run_id) == writer.record
    assert RunSpec.model_validate_json(store.spec_path(spec.run_id).read_text()) == spec


def test_stages_and_metrics_are_replaced_by_name_and_key(store, make_spec, provenance, make_value):
    with RunWriter(store, make_spec(), provenance) as writer:
        writer.set_stage(StageRecord(name="a", status="running"))
        writer.set_stage(StageRecord(name="b", status="pending"))
        writer.set_stage(StageRecord(name="a", status="done", steps=3))
        writer.add_metrics([make_value(value=1.0), make_value("ssim", 0.5)])
        writer.add_metrics([make_value(value=2.0), make_value(value=3.0, protocol="other")])
        writer.update(status="done")
    record = query.load_record(store, writer.record.spec.run_id)
    assert [(stage.name, stage.status, stage.steps) for stage in record.stages] == [
        ("a", "done", 3),
        ("b", "pending", None),
    ]
    assert [(value.name, value.value) for value in record.metrics] == [("psnr", 2.0), ("ssim", 0.5), ("psnr", 3.0)]
    assert record.status == "done"


def test_a_record_keeps_the_fields_of_its_values_protocols(store, make_spec, provenance, make_value):
    with RunWriter(store, make_spec(), provenance) as writer:
        writer.add_metrics([make_value()], {"a": {"crop": "adm"}})
        writer.add_metrics([make_value("ssim", 0.5)], {"b": {"crop": "none"}})
        writer.add_metrics([make_value("mae", 0.5)])
    record = query.load_record(store, writer.record.spec.run_id)
    assert record.protocols == {"a": {"crop": "adm"}, "b": {"crop": "none"}}


def test_a_record_goes_on_where_it_was(store, make_spec, provenance, make_value):
    with RunWriter(store, make_spec(), provenance) as writer:
        writer.add_metrics([make_value()])
    later = provenance.model_copy(update={"commit": "later"})
    with RunWriter(store, make_spec(), later) as again:
        assert again.record.metrics == writer.record.metrics
        assert again.record.provenance == later
        again.set_stage(StageRecord(name="train_tokenizer", status="done"))
    latest = provenance.model_copy(update={"commit": "latest"})
    with RunWriter(store, make_spec(), latest) as third:
        assert third.record.provenance == later


def test_values_that_are_not_finite_are_kept(store, make_spec, provenance, make_value):
    with RunWriter(store, make_spec(), provenance) as writer:
        writer.add_metrics([make_value(value=math.inf), make_value("ssim", math.nan)])
    values = query.load_record(store, writer.record.spec.run_id).metrics
    assert values[0].value == math.inf
    assert math.isnan(values[1].value)


def test_wrong_fields_are_refused_and_nothing_is_written(store, make_spec, provenance):
    with RunWriter(store, make_spec(), provenance) as writer:
        before = store.record_path(writer.record.spec.run_id).read_text()
        with pytest.raises(ValueError, match="status"):
            writer.update(status="finished")
        assert store.record_path(writer.record.spec.run_id).read_text() == before


def test_interrupting_marks_the_record_and_other_exceptions_do_not(store, make_spec, provenance):
    for error, status in ((KeyboardInterrupt, "interrupted"), (ValueError, "running")):
        writer = RunWriter(store, make_spec(run_id=error.__name__), provenance)
        with pytest.raises(error), writer:
            raise error
        assert query.load_record(store, error.__name__).status == status
        assert live_holder(store.lock_path(error.__name__)) is None


def test_the_record_of_another_run_is_refused(store, make_spec, provenance):
    with RunWriter(store, make_spec("one"), provenance):
        pass
    store.run_dir("two").mkdir()
    store.record_path("one").rename(store.record_path("two"))
    with (
        pytest.raises(StoreError, match="record of run one, not of two"),
        RunWriter(store, make_spec("two"), provenance),
    ):
        pass
    assert not store.lock_path("two").exists()


def test_the_log_is_cut_at_the_step_that_is_resumed_from(store, make_spec, provenance):
    with RunWriter(store, make_spec(), provenance) as writer:
        writer.truncate_log(5)
        for step in (1, 2, 3):
            writer.log(step, {"loss": 1.0 / step})
        with store.log_path(writer.record.spec.run_id).open("a") as file:
            file.write('{"step": 4, "lo')
        writer.truncate_log(2)
        writer.log(3, {"loss": 9.0, "mse": 1.0})
    log = query.load_log(store, writer.record.spec.run_id)
    assert log["step"].tolist() == [1, 2, 3]
    assert log["loss"].tolist() == [1.0, 0.5, 9.0]


def test_progress_is_told(store, make_spec, provenance):
    with RunWriter(store, make_spec(), provenance) as writer:
        run_id = writer.record.spec.run_id
        assert query.load_progress(store, run_id) is None
        writer.progress("train_tokenizer", 3, 10, rate=2.5)
    progress = query.load_progress(store, run_id)
    assert (progress.stage, progress.step, progress.total, progress.rate) == ("train_tokenizer", 3, 10, 2.5)


def test_a_killed_writer_leaves_readable_files_and_the_next_one_goes_on(store, make_spec, provenance):
    spec = make_spec()
    for _ in range(3):
        child = subprocess.Popen(
            [sys.executable, "-c", ENDLESS_RUN, str(store.root)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        child.stdin.write(spec.model_dump_json())
        child.stdin.close()
        assert child.stdout.readline() == "started\n"
        while query.load_progress(store, spec.run_id) is None:
            assert child.poll() is None
        child.send_signal(signal.SIGKILL)
        child.wait()
        child.stdout.close()
        record = query.load_record(store, spec.run_id)
        log = query.load_log(store, spec.run_id)
        store.progress_path(spec.run_id).unlink()
        assert record.status == "running"
        assert len(log) >= 1
    with RunWriter(store, spec, provenance) as writer:
        writer.truncate_log(1)
        assert [json.loads(line)["step"] for line in store.log_path(spec.run_id).read_text().splitlines()] == [1, 1, 1]
