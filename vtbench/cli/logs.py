"""`logs`: what a run's workers print."""

from __future__ import annotations

import sys
import time
from pathlib import Path
from typing import Annotated

import typer

from vtbench.cli.arguments import RootOption, RunArgument, RunStudyOption, open_store
from vtbench.cli.output import say
from vtbench.errors import StoreError
from vtbench.store.failure import last_lines
from vtbench.store.find import FoundRun, find_run
from vtbench.store.layout import Store
from vtbench.store.lock import live_holder

POLL_SECONDS = 0.5
_BYTES_A_LINE = 4096


def logs(
    run: RunArgument,
    follow: Annotated[
        bool, typer.Option("--follow", "-f", help="Go on printing until the run's process ends; Ctrl-C stops it.")
    ] = False,
    rank: Annotated[
        int, typer.Option("--rank", min=0, metavar="N", help="Which of the processes that train one run together.")
    ] = 0,
    lines: Annotated[
        int, typer.Option("--lines", "-n", min=0, metavar="N", help="How many lines from the end; 0: all of them.")
    ] = 50,
    study: RunStudyOption = None,
    root: RootOption = None,
) -> None:
    """Print the end of what a run's worker printed: warnings, errors, tracebacks.

    Example: `python -m vtbench logs pos_embed/grid/0 --follow`
    """
    store = open_store(root)
    found = find_run(store, run, study)
    path = store.worker_log_path(found.run_id, rank)
    if not path.exists() and not (follow and _lives(store, found)):
        raise StoreError(_no_log(store, found, rank))
    position = _print_end(path, lines)
    if follow:
        position = _follow(store, found, path, position)
    if not position:
        typer.echo(f"{found.label} has printed nothing.", err=True)


def _print_end(path: Path, lines: int) -> int:
    """Print the last lines of a log and return how much of it has been seen, in bytes."""
    size = path.stat().st_size if path.exists() else 0
    if lines:
        for line in last_lines(path, lines * _BYTES_A_LINE)[-lines:]:
            say(line)
        return size
    return _print_from(path, 0)


def _print_from(path: Path, position: int) -> int:
    """Print what a log has from a byte on, and return where it ends; a log that was begun anew is read from 0."""
    if not path.exists():
        return 0
    with path.open("rb") as file:
        file.seek(position if path.stat().st_size >= position else 0)
        sys.stdout.write(file.read().decode(errors="replace"))
        sys.stdout.flush()
        return file.tell()


def _follow(store: Store, found: FoundRun, path: Path, position: int) -> int:
    """Print what comes until the run's process is gone; return how much of the log has been seen."""
    try:
        while True:
            lives = _lives(store, found)  # asked before reading, so that what comes before the end is never missed
            position = _print_from(path, position)
            if not lives:
                return position
            time.sleep(POLL_SECONDS)
    except KeyboardInterrupt:
        return position


def _lives(store: Store, found: FoundRun) -> bool:
    return live_holder(store.lock_path(found.run_id)) is not None


def _no_log(store: Store, found: FoundRun, rank: int) -> str:
    """Return what to tell of a run without this log."""
    known = sorted(path.name for path in store.run_dir(found.run_id).glob("worker*.log"))
    if known:
        return f"{found.label} has no log of rank {rank}; there is {', '.join(known)}."
    return f"{found.label} has printed nothing yet: no worker was started for it in {store.root}."
