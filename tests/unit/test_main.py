import subprocess
import sys

import pytest

from vtbench import __main__


def _run(*arguments):
    command = [sys.executable, "-m", "vtbench", *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_help_names_the_program_and_its_verbs():
    done = _run("--help")
    assert done.returncode == 0
    assert "python -m vtbench" in done.stdout
    assert all(verb in done.stdout for verb in ("run", "plan", "status", "report", "list"))


def test_a_mistyped_verb_is_2_without_a_traceback():
    done = _run("rnu")
    assert done.returncode == 2
    assert "rnu" in done.stderr
    assert "Traceback" not in done.stderr


def test_ctrl_c_before_a_verb_has_begun_is_130(monkeypatch):
    def interrupted(**options):
        raise KeyboardInterrupt

    monkeypatch.setattr(__main__, "app", interrupted)
    with pytest.raises(SystemExit) as caught:
        __main__.main()
    assert caught.value.code == 130
