"""`status`: how far the runs in a store are."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from functools import partial
from typing import Annotated, Literal

import typer
from rich.console import Group
from rich.live import Live
from rich.text import Text

from vtbench.cli.arguments import RootOption, matching_plans, open_store
from vtbench.cli.output import console, plain_table, say, show_table
from vtbench.cli.run_states import COLUMNS, NUMERIC, PlanStates, totals
from vtbench.cli.search import search_line
from vtbench.errors import StudyError
from vtbench.launch.state import job_states
from vtbench.store.layout import Store
from vtbench.store.query import PlanCells, load_cells, plan_ids
from vtbench.store.state import Job, read_states

WATCH_SECONDS = 2.0
"""Pause between two looks at the store."""


def status(
    study: Annotated[
        str | None,
        typer.Argument(
            metavar="[STUDY]", help="A study's file or name, or STUDY@PROFILE; all if left out.", show_default=False
        ),
    ] = None,
    every: Annotated[
        bool, typer.Option("--all", help="Show each run, also of large studies, whose quiet runs are only counted.")
    ] = False,
    watch: Annotated[
        bool, typer.Option("--watch", "-w", help="Keep looking until nothing runs or waits any more; Ctrl-C ends it.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object instead of tables.")] = False,
    root: RootOption = None,
) -> None:
    """Show what each run is doing: state, step, loss, images a second, time left, node, and why it failed or waits.

    Failures are sorted by cause (out of memory, time-out, node, import, bad data, NaN, disk full, cancelled), and runs
    that failed alike are shown together with the end of one of their logs.

    Example: `python -m vtbench status pos_embed --watch`
    """
    if watch and as_json:
        raise StudyError("--watch and --json do not go together: call `status --json` as often as you need it.")
    store = open_store(root)
    plans = _plans(store, study)
    if as_json:
        found = _look(store, plans)
        plain = {"root": str(store.root), "time": time.time(), "totals": totals(found)}
        typer.echo(json.dumps({**plain, "plans": [one.plain() for one in found]}, ensure_ascii=False))
    elif not plans:
        say(f"{store.root} holds no plans yet; `python -m vtbench run STUDY` makes one.")
    elif watch:
        _watch(store, plans, every)
    else:
        for one in _look(store, plans):
            _show(store, one, every)


def _plans(store: Store, study: str | None) -> list[PlanCells]:
    chosen = matching_plans(store, study) if study is not None else plan_ids(store)
    return [load_cells(store, plan_id) for plan_id in chosen]


def _look(store: Store, plans: Sequence[PlanCells], before: Sequence[PlanStates] = ()) -> list[PlanStates]:
    """Return what all runs are doing; a run that was done when looked at `before` is not looked at again."""
    known = {name: state for one in before for name, state in one.states.items() if state.state == "done"}
    open_runs = dict.fromkeys(name for plan in plans for name in plan.run_ids if name not in known)
    known |= read_states(store, open_runs, partial(jobs_of, store))
    return [PlanStates(plan, {name: known[name] for name in plan.run_ids}) for plan in plans]


def jobs_of(store: Store, run_ids: Sequence[str]) -> dict[str, Job]:
    """Return what a cluster says of the jobs of runs; nothing of runs that were never submitted to one."""
    words: dict[str, Literal["queued", "running", "ended"]] = {
        "queued": "queued",
        "running": "running",
        "unknown": "queued",
        "done": "ended",
        "failed": "ended",
    }
    return {
        run_id: Job(id=state.job_id or "", state=words[state.word], node=state.node, reason=state.reason)
        for run_id, state in job_states(store, run_ids).items()
    }


def _show(store: Store, found: PlanStates, every: bool) -> None:
    rows = found.rows(every)
    columns, kept = _used(rows)
    if rows:
        show_table(found.plan.id, columns, kept, numeric=NUMERIC)
    say(f"{'' if rows else f'{found.plan.id}: '}{found.summary()}")
    if (line := search_line(store, found.plan.id)) is not None:
        say(line)
    if len(rows) < len(found.states):
        say(f"{len(found.states) - len(rows):,} more runs; --all shows each")
    if lines := found.failure_lines():
        say("\n".join(["", "Failures:", *lines]))
    say("")


def _used(rows: Sequence[Sequence[str]]) -> tuple[list[str], list[list[str]]]:
    """Leave out columns that are empty in all rows."""
    kept = [index for index in range(len(COLUMNS)) if any(row[index] for row in rows)]
    return [COLUMNS[index] for index in kept], [[row[index] for index in kept] for row in rows]


def _watch(store: Store, plans: Sequence[PlanCells], every: bool) -> None:
    """Show the runs again and again, in place on a terminal, until none of them is to be waited for."""
    found: list[PlanStates] = []
    with Live(console=console(), auto_refresh=False, vertical_overflow="visible" if every else "ellipsis") as live:
        while True:
            found = _look(store, plans, found)
            live.update(Group(*(_text(one, every) for one in found)), refresh=True)
            if not any(one.waiting for one in found):
                return
            try:
                time.sleep(WATCH_SECONDS)
            except KeyboardInterrupt:
                return


def _text(found: PlanStates, every: bool) -> Text:
    columns, rows = _used(found.rows(every))
    table = plain_table(found.plan.id, columns, rows, NUMERIC) if rows else [found.plan.id]
    lines = [*table, found.summary(), *found.failure_lines(), ""]
    return Text("\n".join(lines), no_wrap=True, overflow="ellipsis")
