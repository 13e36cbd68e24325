import os
import signal
import subprocess
import sys

import pytest

from vtbench.launch import worker


@pytest.fixture(autouse=True)
def _handlers():
    """Put back the signal handlers that `main` sets."""
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


def arguments(store, plan, *more):
    return ["--root", str(store.root), "--plan", str(store.plan_path(plan.id)), *more]


def test_a_worker_without_its_parent_stops_at_once(store, make_plan):
    plan = make_plan()
    command = [sys.executable, "-m", "vtbench.launch.worker", *arguments(store, plan, "--parent", "1", "x")]
    assert os.getpid() != 1
    assert subprocess.run(command, check=False).returncode == worker.INTERRUPTED


def test_what_is_wrong_is_one_line(store, make_plan, capsys, tmp_path):
    plan = make_plan()
    assert worker.main(arguments(store, plan, "0123")) == worker.FAILED
    assert capsys.readouterr().err == "The plan small@tiny has no run '0123'.\n"
    assert worker.main(["--root", str(store.root), "--plan", str(tmp_path / "no.json"), "x"]) == worker.FAILED
    assert "no.json: cannot be read" in capsys.readouterr().err
    (tmp_path / "bad.json").write_text("{}")
    assert worker.main(["--root", str(store.root), "--plan", str(tmp_path / "bad.json"), "x"]) == worker.FAILED
    assert "this is no plan" in capsys.readouterr().err


def test_a_second_signal_does_not_disturb_the_end():
    signal.signal(signal.SIGINT, worker._stop)
    with pytest.raises(KeyboardInterrupt):
        os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGINT)
    os.kill(os.getpid(), signal.SIGTERM)
