import json
from pathlib import Path

import pytest

TEXT = (Path(__file__).parents[2] / "fakes" / "small_protocol_study.yaml").read_text()


@pytest.fixture
def study(folder):
    path = folder / "studies" / "small_protocols.yaml"
    path.write_text(TEXT.replace("[rfd_effnet, rfid, psnr]", "[psnr]"))
    return path


def test_plan_run_and_report(call, study, folder):
    planned = call("plan", "small_protocols")
    assert planned.exit_code == 0, planned.stderr
    assert "7 arms measure 2 sets of 4 reconstructions at 32x32: psnr; nothing trains" in planned.stdout
    assert not (folder / "runs").exists()

    missing = call("report", "small_protocols")
    assert missing.exit_code == 2
    assert "`python -m vtbench run` makes one" in missing.stderr

    ran = call("run", "studies/small_protocols.yaml")
    assert ran.exit_code == 0, ran.stderr
    assert "blur, σ 1, measured as seed_voken" in ran.stdout
    assert "report: reports/small_protocols/index.html" in ran.stdout
    data = json.loads((folder / "reports" / "small_protocols" / "data.json").read_text())
    assert data["kind"] == "protocols"
    assert len(data["values"]) == 2 * 6
    assert {value["protocol"] for value in data["values"]} == set(data["protocols"])
    assert "How far do protocols disagree" in call("list", "studies").stdout

    checked = call("report", "small_protocols", "--check")
    assert (checked.exit_code, checked.stdout) == (0, "reports/small_protocols is up to date\n")
    (folder / "reports" / "small_protocols" / "README.md").write_text("old")
    stale = call("report", "studies/small_protocols.yaml", "--check")
    assert stale.exit_code == 2
    assert "README.md is stale" in stale.stderr
    assert call("report", "small_protocols", "--from-data").exit_code == 0
    assert call("report", "small_protocols", "--check").exit_code == 0


@pytest.mark.parametrize(
    ("verb", "options", "part"),
    [
        ("run", ["--seeds", "3"], "nothing for --seeds"),
        ("run", ["--profile", "gpu", "--fresh"], "nothing for --profile, --fresh"),
        ("plan", ["--set", "train.steps=3"], "nothing for --set"),
    ],
)
def test_options_of_training_are_refused(call, study, verb, options, part):
    result = call(verb, "small_protocols", *options)
    assert result.exit_code == 2
    assert part in result.stderr


def test_a_wrong_kind_gets_the_nearest(call, study):
    study.write_text(TEXT.replace("kind: protocols", "kind: protocol"))
    result = call("plan", "small_protocols")
    assert result.exit_code == 2
    assert "small_protocols.yaml:1: kind: 'protocol' is no kind of study. Did you mean 'protocols'?" in result.stderr
