"""What `run`, `plan` and `report` do with a study of `kind: cost`: count, and show what was counted."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from vtbench.cli.arguments import REPORTS
from vtbench.cli.output import count, say, show_table
from vtbench.errors import StudyError
from vtbench.schema.cost_study import CostCell, CostPlan
from vtbench.store.layout import Store
from vtbench.store.provenance import collect
from vtbench.study.cost_study import FULL, expand_cost, load_cost_study
from vtbench.study.load import COST, study_kind

if TYPE_CHECKING:
    from vtbench.schema.cost import ModelCost


def is_cost_study(path: Path) -> bool:
    """Return whether a study file counts costs; raises a `StudyError` if it is of no known kind."""
    return study_kind(path) == COST


def refuse(path: Path, **options: object) -> None:
    """Raise a `StudyError` for options that a cost study cannot take.

    Args:
        path: the study's file.
        options: option's name -> what was given; None, False and empty ones were not given.
    """
    if given := [f"--{name}" for name, value in options.items() if value]:
        raise StudyError(
            f"{path}: this study counts costs and has nothing for {', '.join(given)}: its arms do not train, and their"
            " options stand in the file."
        )


def run_cost_study(path: Path, store: Store, report_dir: Path | None, *, fresh: bool) -> None:
    """Count what a cost study lacks and write its report."""
    plan = expand_cost(load_cost_study(path))
    study = plan.study
    # torch and matplotlib come with these, and what is wrong above should not wait for them
    from vtbench.report.cost_study import render_costs
    from vtbench.runner.cost_study import count_plan, stored_costs
    from vtbench.schema.convention import convention

    say(f"{study.name}: {' '.join(study.question.split())}")
    known = 0 if fresh else sum(cost is not None for cost in stored_costs(store, plan))
    say(f"{len(plan.cells)} cells to count, {known} of them known in {store.root}; seconds each, nothing trains")

    def show(cell: CostCell, cost: ModelCost, new: bool) -> None:
        figure = count(convention(FULL).figure(cost))
        say(f"  {_label(plan, cell)}: {figure}FLOPs ({FULL}){'' if new else ', known already'}")

    costs = count_plan(store, plan, fresh=fresh, on_cell=show)
    folder = _folder(study.name, report_dir)
    say(f"report: {render_costs(plan, costs, collect(f'python -m vtbench run {study.path}'), folder)}")


def plan_cost_study(path: Path, store: Store) -> None:
    """Show what a cost study would count and what is known already; counts nothing."""
    plan = expand_cost(load_cost_study(path))
    from vtbench.runner.cost_study import stored_costs

    known = stored_costs(store, plan)
    rows = [
        (
            plan.study.arm(cell.arm).title,
            plan.study.arm(cell.arm).model,
            cell.workload.resolution,
            "the model's" if cell.workload.num_tokens is None else f"{cell.workload.num_tokens:,}",
            "" if cost is None else "yes",
        )
        for cell, cost in zip(plan.cells, known, strict=True)
    ]
    columns = ["arm", "model", "resolution", "tokens", "counted"]
    show_table(f"{plan.study.name}: {', '.join(plan.study.conventions)}", columns, rows, numeric=["tokens"])
    done = sum(cost is not None for cost in known)
    say(f"{len(known)} cells to count, {done} of them known in {store.root}; nothing trains")


def report_cost_study(path: Path, store: Store, report_dir: Path | None) -> None:
    """Write a cost study's report of what has been counted; other cells are shown as missing."""
    plan = expand_cost(load_cost_study(path))
    from vtbench.report.cost_study import render_costs
    from vtbench.runner.cost_study import stored_costs

    provenance = collect(f"python -m vtbench report {plan.study.path}")
    page = render_costs(plan, stored_costs(store, plan), provenance, _folder(plan.study.name, report_dir))
    say(f"report: {page}")


def _folder(name: str, report_dir: Path | None) -> Path:
    return report_dir if report_dir is not None else REPORTS / name


def _label(plan: CostPlan, cell: CostCell) -> str:
    tokens = "" if cell.workload.num_tokens is None else f", {cell.workload.num_tokens} tokens"
    return f"{plan.study.arm(cell.arm).title}, {cell.workload.resolution}{tokens}"
