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
        writer.update(status="failed", error=RunError(kind="NonFiniteLossError", message="NaN"))
    assert row(call("status"), "grid")[3:5] == ["failed:", "NonFiniteLossError"]
    with RunWriter(store, plan.runs[first], collect("test")) as writer:
        writer.update(status="done")
    old = time.time() - 7200
    os.utime(store.record_path(first), (old, old))
    assert row(call("status"), "grid")[3:] == ["done", "2", "h", "00", "min", "ago"]


def test_an_unknown_study(call, plan):
    result = call("status", "smal")
    assert result.exit_code == 2
    assert "Did you mean 'small@tiny'?" in result.stderr
