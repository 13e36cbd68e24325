import os
import time

import pytest
from rich.console import Console

from vtbench.cli.progress import Board, display, plain_line, run_label
from vtbench.launch.event import RunEvent
from vtbench.schema.record import MetricValue, Provenance, RunRecord
from vtbench.store.query import Progress
from vtbench.study.expand import expand
from vtbench.study.load import load_study


@pytest.fixture
def plan(folder):
    return expand(load_study(folder / "studies" / "small.yaml"), set={"evaluate.num_tokens": [None, 2]})


@pytest.fixture
def record(plan):
    values = [
        MetricValue(
            name=name,
            metric_version=1,
            value=value,
            num_samples=4,
            params={"resolution": "16x16", "num_tokens": num_tokens},
            protocol="p",
            checkpoint="c",
        )
        for name, value, num_tokens in (("mae", 0.25, None), ("psnr", 17.891, None), ("psnr", 9.0, 2))
    ]
    return RunRecord(
        spec=next(iter(plan.runs.values())),
        status="done",
        metrics=tuple(values),
        provenance=Provenance(commit=None, dirty_hash=None, packages={}, hardware="", command="", started=""),
    )


def training(step, rate=2.0):
    return Progress(stage="train_tokenizer", step=step, total=100, rate=rate, pid=os.getpid(), time=time.time())


def text(board):
    console = Console(width=200)
    with console.capture() as capture:
        console.print(board.table())
    return capture.get()


def test_one_line_at_each_start_and_end(plan, record, capsys):
    first, second = plan.runs
    with display(plan, terminal=False) as show:
        show(RunEvent(kind="started", run_id=first))
        show(RunEvent(kind="progress", run_id=first, progress=training(3)))
        show(RunEvent(kind="done", run_id=first, seconds=74, record=record))
        show(RunEvent(kind="failed", run_id=second, seconds=2, cause="out of luck"))
    assert capsys.readouterr().out.splitlines() == [
        "grid seed 0: started",
        "grid seed 0: done in 1 min 14 s, psnr@16x16 17.89, mae@16x16 0.25",
        "rope seed 0: failed after 2 s: out of luck",
    ]


def test_reused_and_interrupted_runs(plan, record, capsys):
    first, second = plan.runs
    plain_line(plan, RunEvent(kind="reused", run_id=first, record=record))
    plain_line(plan, RunEvent(kind="interrupted", run_id=second, seconds=3))
    assert capsys.readouterr().out.splitlines() == [
        "grid seed 0: done already, psnr@16x16 17.89, mae@16x16 0.25",
        "rope seed 0: interrupted after 3 s",
    ]


def test_the_label_has_the_axis_values(folder, edit):
    edit("seeds: [0]", "seeds: [0]\naxes: {train.steps: [5]}")
    plan = expand(load_study(folder / "studies" / "small.yaml"))
    assert run_label(plan, next(iter(plan.runs))) == "grid steps=5 seed 0"


def test_the_board_shows_stage_step_rate_and_time_left(plan, record):
    first, second = plan.runs
    board = Board(plan)
    assert board.seconds_left() is None
    board.take(RunEvent(kind="started", run_id=first))
    assert "starting" in text(board)
    assert "waiting" in text(board)
    board.take(RunEvent(kind="progress", run_id=first, seconds=10, progress=training(20)))
    shown = text(board)
    assert "train_tokenizer" in shown
    assert "20/100, 2/s, 40 s left" in shown
    assert "0/2 runs" in shown
    # 40 s to go here, and another run of 10 + 40 s
    assert board.seconds_left() == pytest.approx(90)
    board.take(RunEvent(kind="done", run_id=first, seconds=60, record=record))
    assert board.seconds_left() == pytest.approx(60)
    assert "psnr@16x16 17.89" in text(board)
    board.take(RunEvent(kind="started", run_id=second))
    board.take(RunEvent(kind="progress", run_id=second, seconds=45, progress=training(90, rate=1.0)))
    assert board.seconds_left() == pytest.approx(15)
    board.take(RunEvent(kind="failed", run_id=second, seconds=50, cause="no luck"))
    assert board.seconds_left() == 0
    assert "no luck" in text(board)


def test_a_terminal_gets_the_table(plan, capsys):
    with display(plan, terminal=True) as show:
        show(RunEvent(kind="started", run_id=next(iter(plan.runs))))
    assert "grid seed 0" in capsys.readouterr().out
