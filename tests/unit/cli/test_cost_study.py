import json
from pathlib import Path

import pytest

TEXT = (Path(__file__).parents[2] / "fakes" / "small_cost_study.yaml").read_text()


@pytest.fixture
def study(folder):
    path = folder / "studies" / "small_cost.yaml"
    path.write_text(TEXT)
    return path


def test_plan_run_and_report(call, study, folder):
    planned = call("plan", "small_cost")
    assert planned.exit_code == 0, planned.stderr
    assert "4 cells to count, 0 of them known in runs; nothing trains" in planned.stdout
    assert not (folder / "runs").exists()

    ran = call("run", "studies/small_cost.yaml")
    assert ran.exit_code == 0, ran.stderr
    assert "small_cost: What do small tokenizers cost?" in ran.stdout
    assert "Fixed patch, 32x32, 8 tokens: " in ran.stdout
    assert "known already" not in ran.stdout
    assert "report: reports/small_cost/index.html" in ran.stdout
    data = json.loads((folder / "reports" / "small_cost" / "data.json").read_text())
    assert data["kind"] == "cost"
    assert data["study"]["path"] == "studies/small_cost.yaml"
    assert data["provenance"]["command"] == "python -m vtbench run studies/small_cost.yaml"

    again = call("run", "small_cost")
    assert again.stdout.count("known already") == 4
    assert "4 of them known" in call("plan", "small_cost").stdout
    checked = call("report", "small_cost", "--check")
    assert (checked.exit_code, checked.stdout) == (0, "reports/small_cost is up to date\n")
    assert call("report", "small_cost", "--report-dir", "elsewhere").stdout == "report: elsewhere/index.html\n"
    (folder / "reports" / "small_cost" / "README.md").write_text("old")
    stale = call("report", "studies/small_cost.yaml", "--check")
    assert stale.exit_code == 2
    assert "README.md is stale: run `python -m vtbench run studies/small_cost.yaml`" in stale.stderr
    again = call("report", "small_cost", "--from-data", "--root", "nowhere")
    assert again.stdout == "report: reports/small_cost/index.html\n"
    assert call("report", "small_cost", "--check").exit_code == 0


def test_a_report_of_what_is_not_counted(call, study, folder):
    assert call("report", "small_cost").exit_code == 0
    assert "4 of 4 cells have not been counted yet" in (folder / "reports" / "small_cost" / "README.md").read_text()


@pytest.mark.parametrize(
    ("verb", "options", "part"),
    [
        ("run", ["--seeds", "3"], "nothing for --seeds"),
        ("run", ["--profile", "gpu", "--jobs", "2"], "nothing for --profile, --jobs"),
        ("plan", ["--set", "train.steps=3"], "nothing for --set"),
    ],
)
def test_options_of_training_are_refused(call, study, verb, options, part):
    result = call(verb, "small_cost", *options)
    assert result.exit_code == 2
    assert part in result.stderr


def test_a_kind_that_is_not_there(call, study):
    study.write_text(TEXT.replace("kind: cost", "kind: cots"))
    result = call("run", "small_cost")
    assert result.exit_code == 2
    assert result.stderr.startswith("studies/small_cost.yaml:1: kind: 'cots' is no kind of study. Did you mean 'cost'?")


def test_a_report_of_no_known_kind(call, folder):
    path = folder / "reports" / "odd" / "data.json"
    path.parent.mkdir(parents=True)
    path.write_text('{"kind": "costs"}')
    result = call("report", "odd", "--check")
    assert result.exit_code == 2
    assert "'costs' is no kind of report. Did you mean 'cost'?" in result.stderr


def test_the_list_shows_the_question(call, study):
    lines = call("list", "studies").stdout.splitlines()
    assert any(line.split() == ["small_cost", "What", "do", "small", "tokenizers", "cost?"] for line in lines)
