"""Which run a user means: `0123ab` (the beginning of an id), or `arm/seed`, `study/arm/axis=value/seed`."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from vtbench.errors import StoreError, suggest
from vtbench.schema.study import Cell, StudyPlan
from vtbench.store.layout import Store
from vtbench.store.query import begun_runs, load_plan, plan_ids

_MOST_SHOWN = 8
"""Candidates that a message lists."""


@dataclass(frozen=True, kw_only=True)
class FoundRun:
    """A run, and the plan that asks for it, if one does."""

    run_id: str
    plan: StudyPlan | None = None
    cell: Cell | None = None

    @property
    def label(self) -> str:
        """The run's id and, in words, what it stands for."""
        if self.plan is None or self.cell is None:
            return self.run_id
        return f"{self.run_id} ({self.plan.id}: {cell_name(self.cell)})"


def cell_name(cell: Cell) -> str:
    """Return `arm/axis=value/seed`, by which a run can be asked for."""
    return "/".join([cell.arm, *(f"{short(path)}={_text(value)}" for path, value in cell.coordinates.items())]) + (
        f"/{cell.seed}"
    )


def short(path: str) -> str:
    """Return the last part of a config path, as tables show it."""
    return path.rpartition(".")[2]


def find_run(store: Store, text: str, plan_name: str | None = None) -> FoundRun:
    """Return the run that `text` means.

    Args:
        store: where to look; plans count as well as runs that were begun.
        text: the beginning of an id, or the parts of a cell: `[STUDY/]ARM[/AXIS=VALUE ...][/SEED]`.
        plan_name: look only into plans of this study, or into this plan (`STUDY@PROFILE`).

    Raises:
        StoreError: nothing or more than one run fits; the message names those near.
    """
    ids = plan_ids(store, plan_name) if plan_name is not None else plan_ids(store)
    if plan_name is not None and not ids:
        raise StoreError(f"{store.root} has no plan of '{plan_name}'.{suggest(plan_name, plan_ids(store))}")
    if "/" not in text:
        found = _by_id(store, text, ids, plan_name is None)
        if found is not None:
            return found
    plans = [load_plan(store, plan_id) for plan_id in _narrowed(text, ids)]
    return find_cell(plans, text, f"in {store.root}")


def find_cell(plans: Sequence[StudyPlan], text: str, where: str) -> FoundRun:
    """Return the run of the one cell of `plans` that `text` (`[STUDY/]ARM[/AXIS=VALUE ...][/SEED]`) means.

    Raises:
        StoreError: none or several fit; the message says `where` was looked.
    """
    found: dict[str, FoundRun] = {}
    for plan in plans:
        parts = _without_study(text.strip("/").split("/"), plan)
        for cell in plan.cells:
            if _fits(cell, parts):
                found.setdefault(cell.run_id, FoundRun(run_id=cell.run_id, plan=plan, cell=cell))
    if len(found) == 1:
        return next(iter(found.values()))
    if found:
        raise StoreError(f"'{text}' fits {len(found)} runs:{_listed(run.label for run in found.values())}")
    names = {name for plan in plans for name in (arm.name for arm in plan.study.arms)}
    names |= {cell_name(cell) for plan in plans if len(plan.cells) < 200 for cell in plan.cells}
    form = "Write the beginning of a run's id, or ARM/SEED, STUDY/ARM/AXIS=VALUE/SEED."
    raise StoreError(f"No run {where} is called '{text}'.{suggest(text, names) if names else ''} {form}")


def _by_id(store: Store, text: str, ids: Sequence[str], with_others: bool) -> FoundRun | None:
    """Return the run whose id begins with `text`; None if that is no beginning of one."""
    if not text or not set(text) <= set("0123456789abcdef"):
        return None
    found: dict[str, FoundRun] = {}
    if with_others:
        found = {name: FoundRun(run_id=name) for name in sorted(begun_runs(store)) if name.startswith(text)}
    for plan_id in ids:
        plan = load_plan(store, plan_id)
        for cell in plan.cells:
            if cell.run_id.startswith(text) and (cell.run_id not in found or found[cell.run_id].plan is None):
                found[cell.run_id] = FoundRun(run_id=cell.run_id, plan=plan, cell=cell)
    if text in found:
        return found[text]
    if len(found) > 1:
        raise StoreError(f"'{text}' begins {len(found)} ids:{_listed(run.label for run in found.values())}")
    return next(iter(found.values()), None)


def _narrowed(text: str, ids: Sequence[str]) -> list[str]:
    """Return the plans that a first part such as `study` or `study@profile` names, or all."""
    first = text.strip("/").split("/")[0]
    return [plan_id for plan_id in ids if first in (plan_id, plan_id.partition("@")[0])] or list(ids)


def _without_study(parts: list[str], plan: StudyPlan) -> list[str]:
    return parts[1:] if len(parts) > 1 and parts[0] in (plan.id, plan.study.name) else parts


def _fits(cell: Cell, parts: Sequence[str]) -> bool:
    """Return whether each part names something of a cell, its arm first."""
    if not parts or parts[0] != cell.arm:
        return False
    for part in parts[1:]:
        name, equals, value = part.removeprefix("seed ").partition("=")
        if not equals or name == "seed":
            if (value if equals else name) != str(cell.seed):
                return False
            continue
        if not any(name in (path, short(path)) and _same(value, of_cell) for path, of_cell in cell.coordinates.items()):
            return False
    return True


def _same(text: str, value: Any) -> bool:
    if text == _text(value):
        return True
    try:
        return isinstance(value, (int, float)) and not isinstance(value, bool) and float(text) == value
    except ValueError:
        return False


def _text(value: Any) -> str:
    """Return a value of an axis as YAML would have it."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return str(value)


def _listed(labels: Iterable[str]) -> str:
    lines = list(labels)
    more = f"\n  and {len(lines) - _MOST_SHOWN} more" if len(lines) > _MOST_SHOWN else ""
    return "".join(f"\n  {line}" for line in lines[:_MOST_SHOWN]) + more
