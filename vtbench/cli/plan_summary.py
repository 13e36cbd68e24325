"""What `plan` shows of several studies: a row for each, with what it shares with those above it, and the total."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from vtbench.cli.output import count, show_table
from vtbench.cli.plan_figures import checkpoint_bytes, gpu_hours, left_flops, row_bytes
from vtbench.launch.work_left import WorkLeft, work_left
from vtbench.schema.study import StudyPlan
from vtbench.store.layout import Store
from vtbench.study.cost_study import expand_cost, load_cost_study
from vtbench.study.load import COST, study_kind
from vtbench.study.protocol_study import load_protocol_study

COLUMNS = ("study", "runs", "shared", "reused", "to do", "FLOPs", "GPU-hours", "disk", "cost, as the study says")
NUMERIC = COLUMNS[1:-1]
_DASH = "–"


@dataclass(frozen=True, kw_only=True)
class StudyRow:
    """What one of several studies asks for.

    Attributes:
        study: its name.
        num_runs: all of its runs; None if it trains nothing.
        num_shared: those that a study above it has too.
        num_reused: those of the others that are done.
        num_left: those of the others that are not.
        flops: of training what is left.
        gpu_hours: the same at the stated utilisation; None if its profile has no GPU.
        num_bytes: of what is left.
        cost: in words.
        assumption: what the hours assume.
    """

    study: str
    num_runs: int | None = None
    num_shared: int = 0
    num_reused: int = 0
    num_left: int = 0
    flops: float = 0.0
    gpu_hours: float | None = None
    num_bytes: float = 0.0
    cost: str = ""
    assumption: str | None = None


def training_rows(plans: Iterable[StudyPlan], store: Store) -> list[StudyRow]:
    """Return a row for each plan, in order; a run that an earlier one has is counted there alone."""
    seen: set[str] = set()
    rows = []
    for plan in plans:
        rows.append(_training_row(plan, work_left(store, plan), seen))
        seen |= plan.runs.keys()
    return rows


def other_row(path: Path, store: Store) -> StudyRow:
    """Return the row of a study that trains nothing."""
    if study_kind(path) == COST:
        plan = expand_cost(load_cost_study(path))
        # torch comes with it
        from vtbench.runner.cost_study import stored_costs

        known = sum(cost is not None for cost in stored_costs(store, plan))
        return StudyRow(study=plan.study.name, cost=f"counts {len(plan.cells)} cells, {known} of them known already")
    study = load_protocol_study(path)
    return StudyRow(study=study.name, cost=f"measures {len(study.degradations)} sets in {len(study.arms)} ways")


def show_rows(title: str, rows: Sequence[StudyRow]) -> None:
    """Print the table, the total below, and what the hours assume."""
    total = StudyRow(
        study="total",
        num_runs=sum(row.num_runs or 0 for row in rows),
        num_shared=sum(row.num_shared for row in rows),
        num_reused=sum(row.num_reused for row in rows),
        num_left=sum(row.num_left for row in rows),
        flops=sum(row.flops for row in rows),
        gpu_hours=_total([row.gpu_hours for row in rows]),
        num_bytes=sum(row.num_bytes for row in rows),
        cost=_assumptions(rows),
    )
    show_table(title, COLUMNS, [_cells(row) for row in (*rows, total)], numeric=NUMERIC)


def _training_row(plan: StudyPlan, left: WorkLeft, seen: set[str]) -> StudyRow:
    new = replace(left, **{name: getattr(left, name) - seen for name in ("to_measure", "to_resume", "to_train")})
    resources = plan.profile.resources
    assumption = None
    if (hours := gpu_hours(plan, new)) is not None and resources.peak_flops is not None:
        assumption = f"{count(resources.peak_flops)}FLOP/s at {resources.utilisation:.0%}"
    return StudyRow(
        study=plan.study.name,
        num_runs=len(plan.runs),
        num_shared=len(plan.runs.keys() & seen),
        num_reused=len(left.done - seen),
        num_left=new.jobs,
        flops=left_flops(plan, new),
        gpu_hours=hours,
        num_bytes=checkpoint_bytes(plan, new) + row_bytes(plan, new),
        cost=" ".join(plan.profile.cost.split()),
        assumption=assumption,
    )


def _cells(row: StudyRow) -> list[str]:
    if row.num_runs is None:
        return [row.study, *[_DASH] * len(NUMERIC), row.cost]
    hours = _DASH if row.gpu_hours is None else f"{row.gpu_hours:,.1f}"
    numbers = [row.num_runs, row.num_shared, row.num_reused, row.num_left]
    return [
        row.study,
        *(f"{number:,}" for number in numbers),
        count(row.flops),
        hours,
        f"{count(row.num_bytes)}B",
        row.cost,
    ]


def _total(hours: Iterable[float | None]) -> float | None:
    known = [each for each in hours if each is not None]
    return sum(known) if known else None


def _assumptions(rows: Sequence[StudyRow]) -> str:
    named = dict.fromkeys(row.assumption for row in rows if row.assumption is not None)
    if not named:
        return ""
    return f"GPU-hours: training alone, at {', or '.join(named)} of the peak"
