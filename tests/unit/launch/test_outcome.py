import pytest

from vtbench.launch.outcome import cause_of, failure, label, log_path
from vtbench.schema.record import RunError
from vtbench.store.provenance import collect
from vtbench.store.writer import RunWriter


@pytest.mark.parametrize(
    ("code", "printed", "cause"),
    [
        (-9, "", "killed by SIGKILL, perhaps for want of memory"),
        (-11, "", "killed by SIGSEGV"),
        (1, "one\n\ntwo\n", "two"),
        (3, "", "exit code 3"),
    ],
)
def test_why_a_worker_failed(tmp_path, code, printed, cause):
    log = tmp_path / "worker.log"
    log.write_text("of an earlier one\n" + printed)
    assert cause_of(code, None, log, len("of an earlier one\n")) == cause


def test_what_it_recorded_says_more_than_its_last_line(store, make_plan, tmp_path):
    run_id, spec = next(iter(make_plan().runs.items()))
    with RunWriter(store, spec, collect("test")) as writer:
        writer.update(status="failed", error=RunError(kind="DataError", message="no images", stage="train_tokenizer"))
    log = tmp_path / "worker.log"
    log.write_text("noise\n")
    assert cause_of(1, writer.record, log, 0) == "no images"
    assert log_path(store, run_id).name == "worker.log"
    assert log_path(store, run_id, 3).name == "worker-rank3.log"


def test_a_report_of_failures_names_each_with_its_log(store, make_plan):
    plan = make_plan()
    run_id = next(iter(plan.runs))
    assert label(plan, run_id) == "grid seed 0"
    text = str(failure(store, plan, [(run_id, "no images")]))
    assert text.splitlines() == [
        "1 of 2 runs failed; the same command tries again what is missing.",
        f"  grid seed 0: no images (log: {log_path(store, run_id)})",
    ]
