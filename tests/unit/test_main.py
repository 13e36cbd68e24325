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


@pytest.fixture
def left(monkeypatch):
    """The exit codes with which `main` leaves; it then goes on."""
    codes = []
    monkeypatch.setattr(__main__, "leave", codes.append)
    return codes


@pytest.mark.parametrize(
    ("raised", "code"), [(KeyboardInterrupt(), 130), (SystemExit(2), 2), (SystemExit(None), 0), (SystemExit(0), 0)]
)
def test_how_a_verb_ends_is_the_exit_code(monkeypatch, left, raised, code):
    def ended(**options):
        raise raised

    monkeypatch.setattr(__main__, "app", ended)
    __main__.main()
    assert left == [code]


def test_a_fault_of_the_program_is_shown_in_full(monkeypatch, left):
    def broken(**options):
        raise ValueError("of this program")

    monkeypatch.setattr(__main__, "app", broken)
    with pytest.raises(ValueError, match="of this program"):
        __main__.main()
    assert left == []


def test_the_end_waits_for_threads_exit_functions_and_output():
    lines = (
        "import atexit, sys, threading, time",
        "from vtbench.__main__ import leave",
        "atexit.register(print, 'registered')",
        "threading.Thread(target=lambda: (time.sleep(0.3), print('thread'))).start()",
        "sys.stdout.write('first ')",
        "leave(7)",
    )
    done = subprocess.run([sys.executable, "-c", "\n".join(lines)], capture_output=True, text=True, check=False)
    assert done.returncode == 7
    assert done.stdout.split() == ["first", "thread", "registered"]


def test_a_reader_that_is_gone_is_no_fault():
    command = f"{sys.executable} -m vtbench list | true"
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert "Traceback" not in done.stderr
