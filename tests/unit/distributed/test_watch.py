import json
import signal
import socket
import time

import pytest

from vtbench.distributed.watch import Failure

SETUP = """
import sys, time
from pathlib import Path
from vtbench.distributed import collectives, rank, watch
SILENCE = 60.0
watch.POLL_SECONDS, watch.GRACE_SECONDS = 0.05, 0.3
store = collectives.open_store()
ears = watch.Watch(store, silence_seconds=SILENCE)
ears.on_failure(lambda failure: Path(f"heard{rank()}").write_text(failure.kind + " " + failure.text))
ears.share(f"here {rank()}", "")
ears.receive("here 0"); ears.receive("here 1")
print("met", flush=True)
"""


SHORT = SETUP.replace("SILENCE = 60.0", "SILENCE = 2.0")


def ends(processes, seconds=120):
    errors = [process.communicate(timeout=seconds)[1] for process in processes]
    return [process.returncode for process in processes], errors


@pytest.mark.slow
def test_a_process_that_waits_ends_when_another_fails(start_two, tmp_path):
    processes = start_two(
        SETUP
        + """
if rank() == 1:
    first = ears.announce("DataError", "a broken picture", "train_tokenizer")
    assert first.rank == 1
    sys.exit(1)
time.sleep(60)
"""
    )
    codes, errors = ends(processes)
    assert codes == [1, 1], errors
    said = f"process 1 of 2 on {socket.gethostname()}: a broken picture"
    assert (tmp_path / "heard0").read_text() == f"DataError {said}"
    assert said in errors[0]
    assert not (tmp_path / "heard1").exists()


def test_the_first_failure_is_the_cause(start_two):
    processes = start_two(
        SETUP
        + """
if rank() == 0:
    ears.receive("failed")
mine = ears.announce(f"Kind{rank()}", "why", "")
ears.share("failed", "")
print(mine.kind)
"""
    )
    for process in processes:
        output, error = process.communicate(timeout=120)
        assert output == "met\nKind1\n", error


@pytest.mark.parametrize("number", [signal.SIGKILL, pytest.param(signal.SIGSTOP, marks=pytest.mark.slow)])
def test_a_process_that_is_silent_is_taken_for_dead(start_two, tmp_path, number):
    processes = start_two(SHORT + "time.sleep(60)")
    assert [process.stdout.readline() for process in processes] == ["met\n"] * 2
    time.sleep(0.5)
    processes[1].send_signal(number)
    _, error = processes[0].communicate(timeout=120)
    assert processes[0].returncode == 1
    assert "process 1 of 2 on ?: not heard of for 2 s" in error
    assert (tmp_path / "heard0").read_text().startswith("ProcessLostError")


@pytest.mark.slow
def test_who_ends_well_is_not_missed(start_two):
    processes = start_two(
        SHORT
        + """
if rank() == 1:
    ears.close()
    sys.exit(0)
time.sleep(4)
ears.close()
"""
    )
    codes, errors = ends(processes)
    assert codes == [0, 0], errors


@pytest.mark.slow
def test_without_the_first_process_the_others_end(start_two):
    processes = start_two(SETUP + "time.sleep(60)")
    assert [process.stdout.readline() for process in processes] == ["met\n"] * 2
    processes[0].kill()
    _, error = processes[1].communicate(timeout=120)
    assert processes[1].returncode == 1
    assert "process 0 of 2 on ?: the process ended without a word" in error


def test_a_stop_ends_the_others_as_a_stop(start_two):
    processes = start_two(
        SETUP
        + """
if rank() == 1:
    ears.announce("KeyboardInterrupt", "", "")
    sys.exit(130)
time.sleep(60)
"""
    )
    codes, errors = ends(processes)
    assert codes == [130, 130], errors


def test_a_failure_says_where_it_was(monkeypatch):
    monkeypatch.setenv("WORLD_SIZE", "4")
    failure = Failure(3, "n7", "DataError", "no images", "train_tokenizer")
    assert failure.text == "process 3 of 4 on n7: no images"
    assert Failure(**json.loads(json.dumps(vars(failure)))) == failure
