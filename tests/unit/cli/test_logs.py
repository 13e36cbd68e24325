import time

import pytest

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


@pytest.fixture
def log(folder, plan):
    """Write the log of the first run's worker; returns its path."""

    def write(text, rank=0):
        path = Store(folder / "runs").worker_log_path(next(iter(plan.runs)), rank)
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return write


def test_the_end_of_a_log(call, log, plan):
    log("".join(f"line {n}\n" for n in range(100)))
    shown = call("logs", "grid/0", "--lines", "3")
    assert (shown.exit_code, shown.stdout) == (0, "line 97\nline 98\nline 99\n")
    assert len(call("logs", "small/grid/0").stdout.splitlines()) == 50
    assert len(call("logs", next(iter(plan.runs))[:6], "-n", "0").stdout.splitlines()) == 100


def test_another_rank(call, log):
    log("zero\n")
    log("one\n", rank=1)
    assert call("logs", "grid/0", "--rank", "1").stdout == "one\n"
    missing = call("logs", "grid/0", "--rank", "2")
    assert missing.exit_code == 2
    assert "has no log of rank 2; there is worker-rank1.log, worker.log." in missing.stderr


def test_a_run_that_never_started(call, plan):
    result = call("logs", "grid/0")
    assert result.exit_code == 2
    assert "has printed nothing yet: no worker was started for it in runs" in result.stderr


def test_an_empty_log(call, log):
    log("")
    result = call("logs", "grid/0")
    assert (result.exit_code, result.stdout) == (0, "")
    assert "has printed nothing." in result.stderr


def test_following_ends_with_the_run_and_misses_nothing(call, log, plan, folder, monkeypatch):
    path = log("one\n")
    writer = RunWriter(Store(folder / "runs"), next(iter(plan.runs.values())), collect("test"))
    writer.__enter__()
    left = ["two\n", "three\n"]

    def sleep(seconds):
        with path.open("a") as file:
            file.write(left.pop(0))
        if not left:
            writer.__exit__(None, None, None)

    monkeypatch.setattr(time, "sleep", sleep)
    shown = call("logs", "grid/0", "--follow")
    assert (shown.exit_code, shown.stdout) == (0, "one\ntwo\nthree\n")


def test_a_log_that_is_begun_anew_is_read_from_its_start(call, log, plan, folder, monkeypatch):
    path = log("a long first attempt\n")
    writer = RunWriter(Store(folder / "runs"), next(iter(plan.runs.values())), collect("test"))
    writer.__enter__()

    def sleep(seconds):
        path.write_text("second\n")
        writer.__exit__(None, None, None)

    monkeypatch.setattr(time, "sleep", sleep)
    assert call("logs", "grid/0", "-f").stdout == "a long first attempt\nsecond\n"


def test_ctrl_c_ends_following(call, log, plan, folder, monkeypatch):
    log("one\n")

    def sleep(seconds):
        raise KeyboardInterrupt

    with RunWriter(Store(folder / "runs"), next(iter(plan.runs.values())), collect("test")):
        monkeypatch.setattr(time, "sleep", sleep)
        shown = call("logs", "grid/0", "--follow")
    assert (shown.exit_code, shown.stdout) == (0, "one\n")


def test_an_unknown_run(call, plan):
    result = call("logs", "gird/0")
    assert result.exit_code == 2
    assert "Did you mean 'grid/0'?" in result.stderr
