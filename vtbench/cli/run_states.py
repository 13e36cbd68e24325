"""The states of runs as `status` shows them: a table, groups of failures, or plain data."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from vtbench.cli.output import duration
from vtbench.store.failure import Failure, FailureGroup, group
from vtbench.store.find import cell_name
from vtbench.store.query import PlanCells
from vtbench.store.state import LIVE, ORDER, TROUBLE, RunState, StateName, count_states

COLUMNS = ("arm", "seed", "run", "state", "stage", "step", "loss", "images/s", "left", "node", "last change", "why")
NUMERIC = ("seed", "step", "loss", "images/s", "left", "last change")
MOST_ROWS = 40
"""Of a larger plan only runs that something happens to have a row, unless all are asked for."""

_MOST_NAMED = 3
_WHY_WIDTH = 60


@dataclass(frozen=True)
class PlanStates:
    """A plan's cells and what its runs are doing."""

    plan: PlanCells
    states: Mapping[str, RunState]

    @property
    def counts(self) -> dict[StateName, int]:
        """How many runs are in each state."""
        return count_states(self.states.values())

    @property
    def waiting(self) -> bool:
        """Whether something is still to be expected: a run that runs, or waits in a queue."""
        return not LIVE.isdisjoint(self.counts)

    def failures(self) -> list[FailureGroup]:
        """Return the failures by cause and signature."""
        return group({name: state.failure for name, state in self.states.items() if state.failure is not None})

    def summary(self) -> str:
        """Return how many runs are in which state, in one line."""
        counts = ", ".join(f"{number:,} {name}" for name, number in self.counts.items())
        cells = f"{len(self.plan.cells):,} cells, " if len(self.plan.cells) != len(self.states) else ""
        return f"{cells}{len(self.states):,} run{'s' if len(self.states) != 1 else ''}: {counts}"

    def rows(self, every: bool = False) -> list[list[str]]:
        """Return the table's rows in the plan's order: of all runs, or of those that something happens to.

        Args:
            every: a row for each run, however many there are.
        """
        chosen = list(self.states)
        if not every and len(chosen) > MOST_ROWS:
            of_note = LIVE | TROUBLE | {"interrupted"}
            chosen = [name for name in chosen if self.states[name].state in of_note]
            chosen = sorted(chosen, key=lambda name: ORDER.index(self.states[name].state))[:MOST_ROWS]
        cells = self.plan.first_cells()
        return [[*_cell(cells[name]), name, *_shown(self.states[name])] for name in chosen]

    def failure_lines(self) -> list[str]:
        """Return the failures for a reader: cause, signature, which runs, and the end of one log."""
        cells, lines = self.plan.first_cells(), []
        for one in self.failures():
            number = len(one.run_ids)
            lines.append(f"{number} x {one.cause}: {one.signature}")
            names = ", ".join(f"{name} ({cell_name(cells[name])})" for name in one.run_ids[:_MOST_NAMED])
            lines.append(f"    {names}{f' and {number - _MOST_NAMED} more' if number > _MOST_NAMED else ''}")
            lines += [f"    | {line}" for line in one.example.last_lines]
        return lines

    def plain(self) -> dict[str, Any]:
        """Return everything as data for `json`."""
        cells = self.plan.first_cells()
        return {
            "plan": self.plan.id,
            "num_cells": len(self.plan.cells),
            "counts": self.counts,
            "failures": [_plain_failure(one.example) | {"run_ids": one.run_ids} for one in self.failures()],
            "runs": [
                {"arm": cells[name].arm, "coordinates": cells[name].coordinates, "seed": cells[name].seed}
                | _plain_state(state)
                for name, state in self.states.items()
            ],
        }


def totals(plans: Iterable[PlanStates]) -> dict[str, int]:
    """Return how many runs of all plans are in each state; a run that several plans share counts once."""
    return {str(k): v for k, v in count_states({n: s for p in plans for n, s in p.states.items()}.values()).items()}


def _cell(cell: Any) -> tuple[str, str]:
    return "".join([cell.arm, *(f" {path}={value}" for path, value in cell.coordinates.items())]), str(cell.seed)


def _shown(state: RunState) -> Sequence[str]:
    step = "" if state.step is None else str(state.step) if state.total is None else f"{state.step}/{state.total}"
    why = " ".join((state.reason or "").split())
    return [
        state.state,
        state.stage or "",
        step,
        "" if state.loss is None else f"{state.loss:.4g}",
        "" if state.images_per_second is None else f"{state.images_per_second:.3g}",
        "" if state.seconds_left is None else duration(state.seconds_left),
        state.node or "",
        "" if state.seconds_ago is None else f"{duration(state.seconds_ago)} ago",
        why if len(why) <= _WHY_WIDTH else f"{why[: _WHY_WIDTH - 1]}…",
    ]


def _plain_state(state: RunState) -> dict[str, Any]:
    found = {
        name: None if isinstance(value, float) and not math.isfinite(value) else value
        for name, value in vars(state).items()
        if name != "failure"
    }
    return {**found, "failure": None if state.failure is None else _plain_failure(state.failure)}


def _plain_failure(failure: Failure) -> dict[str, Any]:
    return {**asdict(failure), "cause": failure.cause.value}
