import time

import pytest

from vtbench.store.layout import Store
from vtbench.store.query import load_plan, load_records


@pytest.mark.slow
def test_a_run_in_the_background_outlives_its_command(call, edit, folder):
    edit("tokenizer.pos_embed: rope", "tokenizer.pos_embed: grid")  # both arms are one run
    result = call("run", "small", "--detach")
    assert result.exit_code == 0, result.stderr
    assert "started in the background as process" in result.stdout
    assert "report" not in result.stdout
    store = Store(folder / "runs")
    log = store.plan_path("small@tiny").with_name("run.log")
    end = time.monotonic() + 120
    while "report: " not in log.read_text():
        assert time.monotonic() < end, log.read_text()
        time.sleep(0.1)
    assert [record.status for record in load_records(store, load_plan(store, "small@tiny")).values()] == ["done"]


def test_an_unknown_cluster_is_one_message_and_leaves_nothing(call, folder, monkeypatch):
    monkeypatch.setenv("XDG_CONFIG_HOME", str(folder))
    result = call("run", "small", "--cluster", "slrm")
    assert result.exit_code == 2
    assert "Did you mean 'slurm'?" in result.stderr
    assert not (folder / "runs").exists()


def test_without_slurm_it_says_so(call, folder, monkeypatch):
    monkeypatch.setenv("PATH", str(folder))
    result = call("run", "small", "--cluster", "slurm")
    assert result.exit_code == 2
    assert "this machine is not part of a Slurm cluster" in result.stderr


def test_retry_takes_one_of_its_words(call):
    assert call("run", "small", "--retry", "some").exit_code == 2
