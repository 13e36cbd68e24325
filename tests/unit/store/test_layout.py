from pathlib import Path

import pytest

from vtbench.store.layout import ROOT_VARIABLE, Store, default_root


def test_all_files_of_a_run_lie_in_its_folder():
    store = Store(Path("root"))
    paths = [
        store.spec_path("r"),
        store.record_path("r"),
        store.log_path("r"),
        store.progress_path("r"),
        store.lock_path("r"),
        store.worker_log_path("r"),
        store.worker_log_path("r", rank=1),
        store.checkpoint_dir("r"),
        store.samples_dir("r"),
        store.measured_dir("r"),
    ]
    assert {path.parent for path in paths} == {Path("root/runs/r")}
    assert len(set(paths)) == len(paths)
    assert store.log_path("r").name == "metrics.jsonl"
    assert store.plan_path("s@tiny") == Path("root/studies/s@tiny/plan.json")
    assert store.cost_path("0123") == Path("root/costs/0123.json")


def test_run_ids_are_those_with_a_record(tmp_path):
    store = Store(tmp_path)
    assert store.run_ids() == []
    for run_id in ("b", "a", "no_record"):
        store.run_dir(run_id).mkdir(parents=True)
    for run_id in ("b", "a"):
        store.record_path(run_id).touch()
    assert store.run_ids() == ["a", "b"]


def test_the_root_comes_from_the_environment(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.delenv(ROOT_VARIABLE, raising=False)
    assert default_root() == Path("runs")
    monkeypatch.setenv(ROOT_VARIABLE, "/data/store")
    assert default_root() == Path("/data/store")
