import subprocess
import sys

import pytest
from typer.testing import CliRunner

from vtbench.cli import app as program

VERBS = ["run", "plan", "status", "report", "list"]


def test_help_names_the_verbs_in_the_order_of_need(call):
    text = call("--help").stdout
    commands = text.partition("Commands")[2]
    places = [commands.index(f" {verb} ") for verb in VERBS]
    assert places == sorted(places)
    assert "python -m vtbench run studies/smoke.yaml" in text


@pytest.mark.parametrize("verb", VERBS)
def test_each_verb_has_help_with_an_example(call, verb):
    text = call(verb, "--help").stdout
    assert f"python -m vtbench {verb}" in text.partition("Example:")[2]


@pytest.mark.parametrize("arguments", ["rnu", "run", "run a --seeds 0", "list metric", "run a --x"])
def test_mistyped_commands_leave_with_2(call, arguments):
    assert call(*arguments.split()).exit_code == 2


def test_an_error_is_a_message_and_its_exit_code(call):
    result = call("run", "smal")
    assert result.exit_code == 2
    assert result.stdout == ""
    assert result.stderr == "No study is called 'smal', and there is no such file. Did you mean 'small'?\n"


def test_ctrl_c_leaves_with_130(monkeypatch, folder):
    def interrupted(path):
        raise KeyboardInterrupt

    monkeypatch.setattr("vtbench.cli.planning.load_study", interrupted)
    assert CliRunner().invoke(program.app, ["run", "small"]).exit_code == 130


def test_the_module_and_a_mistake_in_a_study_without_torch(folder, edit):
    edit("steps: 3", "stps: 3")
    command = [sys.executable, "-X", "importtime", "-m", "vtbench", "run", "studies/small.yaml"]
    ran = subprocess.run(command, capture_output=True, text=True, check=False)
    assert ran.returncode == 2
    assert "studies/small.yaml:21: unknown key 'train.stps'. Did you mean 'train.steps'?" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert not any(line.endswith("| torch") for line in ran.stderr.splitlines())
