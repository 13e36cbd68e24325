"""How a study's runs get on: a live table on a terminal, a line at each start and end elsewhere."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from rich.console import Group
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from vtbench.cli.output import duration, say
from vtbench.launch.event import OnEvent, RunEvent
from vtbench.schema.record import RunRecord
from vtbench.schema.study import StudyPlan
from vtbench.store.query import Progress


@contextmanager
def display(plan: StudyPlan, terminal: bool | None = None) -> Iterator[OnEvent]:
    """Show what happens to a plan's runs while inside; yields what is to be told of each event.

    Args:
        plan: the plan.
        terminal: whether standard output is one; None: look.
    """
    if not (sys.stdout.isatty() if terminal is None else terminal):
        yield lambda event: plain_line(plan, event)
        return
    board = Board(plan)
    with Live(board.table(), auto_refresh=False, transient=False) as live:

        def show(event: RunEvent) -> None:
            board.take(event)
            live.update(board.table(), refresh=True)

        yield show


def plain_line(plan: StudyPlan, event: RunEvent) -> None:
    """Print an event as one line, if it is a start or an end."""
    name = run_label(plan, event.run_id)
    match event.kind:
        case "reused":
            say(f"{name}: done already{_values(plan, event.record)}")
        case "queued":
            say(f"{name}: {_where(event, 'waiting')}")
        case "started":
            say(f"{name}: started{f', {event.place}' if event.place else ''}")
        case "done":
            say(f"{name}: done in {duration(event.seconds)}{_values(plan, event.record)}")
        case "failed":
            say(f"{name}: failed after {duration(event.seconds)}: {event.cause}")
        case "interrupted":
            say(f"{name}: interrupted after {duration(event.seconds)}")


def run_label(plan: StudyPlan, run_id: str) -> str:
    """Return the arm, axis values and seed that a run stands for, of the first cell if several share it."""
    cell = plan.cell_of(run_id)
    point = "".join(f" {path.rpartition('.')[2]}={value}" for path, value in cell.coordinates.items())
    return f"{cell.arm}{point} seed {cell.seed}"


def _values(plan: StudyPlan, record: RunRecord | None) -> str:
    """Return the values at the first point, for the line of a finished run."""
    resolution, num_tokens = plan.evaluate.resolutions[0], plan.evaluate.num_tokens[0]
    shown = [
        f"{value.name}@{resolution} {value.value:.4g}"
        for name in plan.metrics
        for value in (record.metrics if record is not None else ())
        if value.name == name
        and value.params.get("resolution") == resolution
        and value.params.get("num_tokens") == num_tokens
    ]
    return "".join(f", {text}" for text in shown)


def _where(event: RunEvent, word: str) -> str:
    """Return where a run waits, and why."""
    text = f"{word}, {event.place}" if event.place else word
    return f"{text} ({event.cause})" if event.cause else text


@dataclass
class _Row:
    """What is known of one run."""

    state: str = "waiting"
    progress: Progress | None = None
    seconds: float = 0.0
    note: str = ""


@dataclass
class Board:
    """The state of all runs, as told by events."""

    plan: StudyPlan
    started: float = field(default_factory=time.monotonic)
    rows: dict[str, _Row] = field(init=False)

    def __post_init__(self) -> None:
        self.rows = {run_id: _Row() for run_id in self.plan.runs}

    def take(self, event: RunEvent) -> None:
        """Take note of an event."""
        row = self.rows[event.run_id]
        row.seconds = event.seconds
        if event.kind == "progress":
            row.progress = event.progress
            return
        row.state = {"started": "running", "reused": "done", "queued": "waiting"}.get(event.kind, event.kind)
        row.note = ""
        if event.kind in ("done", "reused"):
            row.note = _values(self.plan, event.record).removeprefix(", ")
        elif event.kind in ("failed", "queued"):
            row.note = ", ".join(filter(None, [event.place, event.cause]))

    def seconds_left(self) -> float | None:
        """Estimate the time until all runs are done, from those that are and from how far the present ones are."""
        finished = [row.seconds for row in self.rows.values() if row.state == "done" and row.seconds > 0]
        present = [row for row in self.rows.values() if row.state == "running"]
        waiting = sum(row.state == "waiting" for row in self.rows.values())
        rests = [_stage_left(row.progress) for row in present]
        guesses = [row.seconds + rest for row, rest in zip(present, rests, strict=True) if rest is not None]
        if not present and not waiting:
            return 0.0
        if not (known := finished or guesses):
            return None
        each = sum(known) / len(known)
        left = [max(each - row.seconds, rest or 0.0) for row, rest in zip(present, rests, strict=True)]
        # Slots work side by side; what waits is shared among them.
        return max(max(left, default=0.0), (sum(left) + waiting * each) / max(1, len(present)))

    def table(self) -> Group:
        """Return the runs with bars, and the time left."""
        table = Table.grid(padding=(0, 2))
        for overflow in ("fold", "fold", "fold", "ellipsis"):
            table.add_column(no_wrap=True, overflow=overflow)
        for run_id, row in self.rows.items():
            progress = row.progress if row.state == "running" else None
            finished = row.state == "done"
            bar = ProgressBar(
                total=progress.total if progress else 1,
                completed=progress.step if progress else float(finished),
                width=24,
            )
            table.add_row(Text(run_label(self.plan, run_id)), Text(_stage(row)), bar, Text(_detail(row, progress)))
        left = self.seconds_left()
        done = sum(row.state == "done" for row in self.rows.values())
        text = f"{done}/{len(self.rows)} runs, {duration(time.monotonic() - self.started)} so far"
        return Group(table, Text(f"{text}, about {duration(left)} left" if left else text))


def _stage(row: _Row) -> str:
    if row.state != "running":
        return row.state
    return row.progress.stage if row.progress is not None else "starting"


def _detail(row: _Row, progress: Progress | None) -> str:
    if progress is None:
        return row.note
    rate = f", {progress.rate:.3g}/s" if progress.rate else ""
    left = _stage_left(progress)
    return f"{progress.step}/{progress.total}{rate}{f', {duration(left)} left' if left is not None else ''}"


def _stage_left(progress: Progress | None) -> float | None:
    if progress is None or not progress.rate:
        return None
    return (progress.total - progress.step) / progress.rate
