import json
import math
import os
import time

import pytest

from vtbench.schema.record import RunError
from vtbench.store.layout import Store
from vtbench.store.provenance import collect
from vtbench.store.query import save_plan
from vtbench.store.writer import RunWriter
from vtbench.study.expand import expand
from vtbench.study.load import load_study


@pytest.fixture
def plan(folder):
    plan = expand(load_study(folder / "studies" / "small.yaml"))
    save_plan(Store(folder / "runs"), plan)
    return plan


def row(result, arm):
    return next(line.split() for line in result.stdout.splitlines() if line.split()[:1] == [arm])


def test_an_empty_store(call):
    assert "holds no plans yet" in call("status").stdout


def test_states(call, plan, folder):
    store = Store(folder / "runs")
    first = next(iter(plan.runs))
    assert row(call("status"), "grid") == ["grid", "0", first, "not", "started"]
    with RunWriter(store, plan.runs[first], collect("test")) as writer:
        writer.update(status="running")
        writer.progress("train_tokenizer", 2, 3)
        assert row(call("status", "small"), "grid")[3:6] == ["running", "train_tokenizer", "2/3"]
    # nobody writes it any more
    assert row(call("status", "small@tiny"), "grid")[3] == "stopped"
    with RunWriter(store, plan.runs[first], collect("test")) as writer:
        writer.update(status="failed", error=RunError(kind="NonFiniteLossError", message="the loss is NaN"))
    shown = call("status")
    assert row(shown, "grid")[3:5] == ["failed", "train_tokenizer"]
    assert f"1 x NaN: NonFiniteLossError: the loss is NaN\n    {first} (grid/0)" in shown.stdout
    with RunWriter(store, plan.runs[first], collect("test")) as writer:
        writer.update(status="done")
    old = time.time() - 7200
    os.utime(store.record_path(first), (old, old))
    assert row(call("status"), "grid")[3:] == ["done", "2", "h", "00", "min", "ago"]


def test_an_unknown_study(call, plan):
    result = call("status", "smal")
    assert result.exit_code == 2
    assert "Did you mean 'small@tiny'?" in result.stderr


def test_json_is_one_object(call, plan, folder):
    store = Store(folder / "runs")
    first, second = plan.runs
    with RunWriter(store, plan.runs[first], collect("test")) as writer:
        writer.log(1, {"loss": math.nan})
        writer.update(status="failed", error=RunError(kind="OutOfMemoryError", message="CUDA out of memory"))
    store.worker_log_path(first).write_text("one\nCUDA out of memory\n")
    found = json.loads(call("status", "--json").stdout, parse_constant=pytest.fail)
    assert found["totals"] == {"failed": 1, "not started": 1}
    (shown,) = found["plans"]
    assert (shown["plan"], shown["num_cells"], shown["counts"]) == ("small@tiny", 2, {"failed": 1, "not started": 1})
    (failure,) = shown["failures"]
    assert (failure["cause"], failure["run_ids"]) == ("out of memory", [first])
    assert failure["last_lines"] == ["one", "CUDA out of memory"]
    failed, untouched = shown["runs"]
    assert (failed["arm"], failed["seed"], failed["run_id"], failed["state"]) == ("grid", 0, first, "failed")
    assert (failed["failure"]["cause"], failed["loss"]) == ("out of memory", None)
    assert (untouched["run_id"], untouched["state"], untouched["failure"]) == (second, "not started", None)


def test_an_empty_store_as_json(call):
    assert json.loads(call("status", "--json").stdout)["plans"] == []


def test_of_a_large_study_only_what_happens_is_shown(call, edit, folder):
    edit("seeds: [0]", f"seeds: {list(range(30))}")
    plan = expand(load_study(folder / "studies" / "small.yaml"))
    store = Store(folder / "runs")
    save_plan(store, plan)
    runs = list(plan.runs)
    for run_id, end in ((runs[0], "done"), (runs[3], "interrupted")):
        with RunWriter(store, plan.runs[run_id], collect("test")) as writer:
            writer.update(status=end)
    short = call("status").stdout
    assert runs[3] in short
    assert runs[0] not in short
    assert "60 runs: 1 interrupted, 58 not started, 1 done" in short
    assert "59 more runs; --all shows each" in short
    assert all(run_id in call("status", "--all").stdout for run_id in runs)


def test_watching_ends_when_nothing_runs(call, plan, folder, monkeypatch):
    store = Store(folder / "runs")
    first = next(iter(plan.runs))
    looks = []
    with RunWriter(store, plan.runs[first], collect("test")) as writer:
        writer.progress("train_tokenizer", 2, 3)

        def sleep(seconds):
            looks.append(seconds)
            writer.update(status="done")

        monkeypatch.setattr(time, "sleep", sleep)
        shown = call("status", "--watch")
    assert shown.exit_code == 0
    assert len(looks) == 1
    assert "1 not started, 1 done" in shown.stdout


def test_ctrl_c_ends_watching(call, plan, folder, monkeypatch):
    def interrupt(seconds):
        raise KeyboardInterrupt

    with RunWriter(Store(folder / "runs"), next(iter(plan.runs.values())), collect("test")):
        monkeypatch.setattr(time, "sleep", interrupt)
        shown = call("status", "--watch")
    assert shown.exit_code == 0
    assert "1 running" in shown.stdout


def test_watching_and_json_do_not_go_together(call, plan):
    result = call("status", "--watch", "--json")
    assert result.exit_code == 2
    assert "do not go together" in result.stderr
