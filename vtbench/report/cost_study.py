"""Second half of a cost report: Markdown, HTML and figures, a pure function of `data.json`."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from vtbench.report import cost_tables
from vtbench.report.cost_data import Costs, gather_costs, load_costs
from vtbench.report.cost_findings import findings, run_command
from vtbench.report.page import Page
from vtbench.report.plots.cost_parts import cost_parts
from vtbench.report.plots.cost_resolution import cost_resolution
from vtbench.report.plots.style import styled
from vtbench.schema.cost import ModelCost
from vtbench.schema.cost_study import CostPlan
from vtbench.schema.record import Provenance

_PACKAGES = ("python", "torch", "fvcore", "vtbench")
"""Packages that decide a count."""
_PLOTS = {"cost_resolution": cost_resolution, "cost_parts": cost_parts}


def render_costs(plan: CostPlan, costs: Sequence[ModelCost | None], provenance: Provenance, out_dir: Path) -> Path:
    """Write a cost study's data and report into `out_dir` and return the path of the HTML file.

    Args:
        plan: the study.
        costs: of each of its cells, None for those that have not been counted.
        provenance: which code counted.
        out_dir: the report's folder, made if missing; files of an earlier report in it are replaced.
    """
    gather_costs(plan, costs, provenance, out_dir)
    return render(out_dir)


def render(out_dir: Path) -> Path:
    """Render a report again from its data; returns the path of the HTML file, raises a `StoreError` without data."""
    return _page(out_dir).write(out_dir)


def check(out_dir: Path) -> None:
    """Raise a `StoreError` if the Markdown or HTML in `out_dir` is not what its data give today."""
    _page(out_dir).check(out_dir)


def _page(folder: Path) -> Page:
    costs = Costs(load_costs(folder))
    with styled():
        drawings = {name: drawing for name, draw in _PLOTS.items() if (drawing := draw(costs)) is not None}
    return Page(template="cost_study", context=_context(costs), command=run_command(costs), drawings=drawings)


def _context(costs: Costs) -> dict[str, Any]:
    return {
        "study": costs.study,
        "findings": findings(costs),
        "parts": [
            (
                cost_tables.component_title(costs, name),
                cost_tables.figures(costs, name),
                cost_tables.ratios(costs, name),
            )
            for name in costs.study.components
        ],
        "published": [table for table in (cost_tables.published(costs), cost_tables.ratio_table(costs)) if table],
        "arms": cost_tables.arms(costs),
        "conventions": cost_tables.conventions(costs),
        "provenance": _provenance(costs),
    }


def _provenance(costs: Costs) -> list[tuple[str, str]]:
    """Return what made the counts: label -> value."""
    made = costs.data.provenance
    tools = sorted({cell.tool for cell in costs.data.cells if cell.tool})
    agreements = [cell.coverage for cell in costs.data.cells if cell.coverage is not None]
    worst = max(agreements, key=lambda share: abs(share - 1), default=None)
    dirty = f", dirty ({made.dirty_hash})" if made.dirty_hash else ""
    lines = [
        ("Command", made.command),
        ("Commit", f"{made.commit or 'unknown'}{dirty}"),
        ("Counted by", "; ".join(tools)),
        ("First counter over the second", "" if worst is None else f"{worst:.4f} where they agree least"),
        ("Packages", ", ".join(f"{name} {made.packages[name]}" for name in _PACKAGES if name in made.packages)),
        ("Written", made.started),
    ]
    return [(label, value) for label, value in lines if value]
