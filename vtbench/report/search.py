"""Second half of a search's report: Markdown, HTML and figures, a pure function of `data.json`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vtbench.report import search_tables
from vtbench.report.page import Page
from vtbench.report.plots.search_trials import search_drawings
from vtbench.report.plots.style import styled
from vtbench.report.search_data import SearchResults, gather_search, load_search_data
from vtbench.store.layout import Store


def render_search(store: Store, plan_id: str, out_dir: Path) -> Path:
    """Gather a search from the store into `out_dir`, render its report there, and return the path of the HTML file.

    Raises:
        StoreError: the plan has no search, or a file of the store is broken.
    """
    gather_search(store, plan_id, out_dir)
    return render(out_dir)


def render(out_dir: Path) -> Path:
    """Render a report again from its data; returns the path of the HTML file, raises a `StoreError` without data."""
    return _page(out_dir).write(out_dir)


def check(out_dir: Path) -> None:
    """Raise a `StoreError` if the Markdown or HTML in `out_dir` is not what its data give today."""
    _page(out_dir).check(out_dir)


def _page(folder: Path) -> Page:
    results = SearchResults(load_search_data(folder))
    plan = results.data.plan
    usual = plan.profile.name == plan.study.profiles[0].name and not plan.overrides
    with styled():
        drawings = search_drawings(results)
    return Page(
        template="search",
        context=_context(results),
        command=f"python -m vtbench report {plan.study.path if usual else plan.id}",
        drawings=drawings,
    )


def _context(results: SearchResults) -> dict[str, Any]:
    plan = results.data.plan
    tables = [search_tables.best(results), search_tables.importances(results), search_tables.trials(results)]
    return {
        "study": plan.study,
        "profile": plan.profile,
        "findings": search_tables.findings(results),
        "tables": [table for table in tables if table is not None and table.rows],
        "provenance": _provenance(results),
    }


def _provenance(results: SearchResults) -> list[tuple[str, list[str]]]:
    """Return what made the runs: label -> distinct values."""
    found = results.data.provenance
    commits = [f"{one.commit or 'unknown'}{f', dirty ({one.dirty_hash})' if one.dirty_hash else ''}" for one in found]
    packages = [", ".join(f"{name} {version}" for name, version in sorted(one.packages.items())) for one in found]
    hours = sum(result.seconds for result in results.data.results) / 3600
    lines = [
        ("Command", [results.data.plan.command]),
        ("Commit", commits),
        ("Hardware", [one.hardware for one in found]),
        ("Packages", packages),
        ("Optuna", [results.data.optuna]),
        ("Started", [one.started for one in found]),
        ("Time of all runs together", [f"{hours:.2f} h"]),
        ("Seeds of each trial", [", ".join(map(str, results.data.plan.seeds))]),
    ]
    return [(label, list(dict.fromkeys(filter(None, values)))) for label, values in lines]
