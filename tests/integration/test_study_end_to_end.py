"""A study from its file to its report, in real processes."""

import json
import math
import time

from typer.testing import CliRunner

from vtbench.cli.app import app
from vtbench.store.query import load_log, load_plan


def files(folder):
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*") if path.is_file()}


def test_a_study_ends_with_a_report(finished):
    assert "2 runs for 2 cells, 0 of them done already" in finished.output
    assert "report: reports/fast/index.html" in finished.output
    page = (finished.path / "reports" / "fast" / "index.html").read_text()
    for text in ("Does a study survive?", "Grid", "RoPE", "OpenMoji"):
        assert text in page


def test_the_store_holds_all_of_it(finished):
    plan = load_plan(finished.store, "fast@tiny")
    assert [fact.arm for fact in plan.facts] == ["grid", "rope"]
    assert all(fact.training_flops > 0 and fact.steps == 24 for fact in plan.facts)
    records = finished.records()
    assert len(records) == 2
    for run_id, record in records.items():
        assert record.status == "done"
        assert [stage.status for stage in record.stages] == ["done"] * 3
        assert {"psnr", "mae", "psnr_mean_image", "gflops"} <= {value.name for value in record.metrics}
        assert all(math.isfinite(value.value) for value in record.metrics)
        assert record.provenance.command == plan.command
        assert list(load_log(finished.store, run_id)["step"]) == list(range(24))
        assert [path.name for path in sorted(finished.store.checkpoint_dir(run_id).iterdir())] == [
            "step-00000020.pt",
            "step-00000024.pt",
        ]
        assert len(list(finished.store.samples_dir(run_id).glob("*.png"))) == 2
        assert json.loads(finished.store.spec_path(run_id).read_text())["run_id"] == run_id
    psnr = {next(v.value for v in record.metrics if v.name == "psnr") for record in records.values()}
    assert len(psnr) == 2, "both arms measure the same: one of them cannot be what it says"


def test_a_second_run_trains_nothing(finished, monkeypatch):
    monkeypatch.chdir(finished.path)
    monkeypatch.delenv("VTBENCH_ROOT", raising=False)
    before, records = files(finished.store.root / "runs"), finished.records()
    begun = time.process_time()
    # in this process, which has everything imported, so that only the work itself is timed
    result = CliRunner().invoke(app, ["run", "studies/fast.yaml"], catch_exceptions=False)
    seconds = time.process_time() - begun
    assert result.exit_code == 0, result.stderr
    assert "2 of them done already" in result.stdout
    assert "started" not in result.stdout
    assert "report: reports/fast/index.html" in result.stdout
    assert files(finished.store.root / "runs") == before
    assert finished.records() == records
    assert seconds < 15
