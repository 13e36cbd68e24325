"""Second half of a report: Markdown, HTML and figures, a pure function of `data.json`, `samples/` and `baselines/`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vtbench.report import comparison_tables, tables
from vtbench.report.expectations import expectation_table
from vtbench.report.findings import findings
from vtbench.report.gather import gather, load
from vtbench.report.generation_tables import generation_measurements
from vtbench.report.page import Page
from vtbench.report.plots import ORDER, PLOTS
from vtbench.report.plots.style import Drawing, PlotData, styled
from vtbench.report.published import published
from vtbench.report.results import Results
from vtbench.report.route_table import route_table
from vtbench.store.layout import Store
from vtbench.study.baselines import BASELINES, load_baseline


def render_study(store: Store, plan_id: str, out_dir: Path, baselines: Path = BASELINES) -> Path:
    """Gather a study from the store into `out_dir` and render its report there.

    Args:
        store: where the study's plan, records, logs and pictures are.
        plan_id: `<study>@<profile>`.
        out_dir: the report's folder, made if missing; files of an earlier report in it are replaced.
        baselines: folder of the published systems that the study names.

    Returns:
        The path of the HTML file.

    Raises:
        StoreError: as `gather` and `render`.
    """
    gather(store, plan_id, out_dir, lambda data: Results(data).drawn_runs)
    return render(out_dir, baselines)


def render(out_dir: Path, baselines: Path = BASELINES) -> Path:
    """Render a gathered report again; needs no store.

    Returns:
        The path of the HTML file.

    Raises:
        StoreError: a file of the report is missing or broken, a published system is not there, or values of one metric
            were measured in different ways.
    """
    return _page(out_dir, baselines).write(out_dir)


def check(out_dir: Path, baselines: Path = BASELINES) -> None:
    """Raise a `StoreError` if the Markdown or HTML in `out_dir` is not what its data give today."""
    _page(out_dir, baselines).check(out_dir)


def _page(folder: Path, baselines: Path) -> Page:
    results = Results(load(folder))
    plan = results.plan
    usual = plan.profile.name == plan.study.profiles[0].name and not plan.overrides
    with styled():
        drawings = _draw(results, folder)
    return Page(
        template="report",
        context=_context(results, baselines),
        command=f"python -m vtbench report {plan.study.path if usual else plan.id}",
        drawings=drawings,
    )


def _draw(results: Results, folder: Path) -> dict[str, Drawing]:
    """Return the drawings of all plots that have something to show, in their order."""
    names = [*ORDER, *(name for name in PLOTS if name not in ORDER)]
    drawn = {name: PLOTS.load(name)(PlotData(results, folder)) for name in names}
    return {name: drawing for name, drawing in drawn.items() if drawing is not None}


TESTS = (comparison_tables.comparisons, comparison_tables.image_by_image, route_table)


def _context(results: Results, baselines: Path) -> dict[str, Any]:
    """Return everything that the templates show, except the drawings."""
    plan = results.plan
    return {
        "plan": plan,
        "study": plan.study,
        "profile": plan.profile,
        "findings": findings(results),
        "expectations": expectation_table(results),
        "measurements": (generation_measurements if results.generates else tables.measurements)(results),
        "differences": comparison_tables.differences(results),
        "tests": [*filter(None, (make(results) for make in TESTS))],
        "published": [published(load_baseline(name, baselines), plan.study.arms) for name in plan.study.published],
        "fairness": tables.fairness(results),
        "provenance": _provenance(results),
        "runs": tables.runs(results),
        "protocols": tables.protocols(results),
        "credit": tables.credit(results),
    }


def _provenance(results: Results) -> list[tuple[str, list[str]]]:
    """Return what made the runs: label -> distinct values."""
    found = [run.provenance for run in results.data.runs if run.provenance is not None]
    commits = [f"{one.commit or 'unknown'}{f', dirty ({one.dirty_hash})' if one.dirty_hash else ''}" for one in found]
    packages = [", ".join(f"{name} {version}" for name, version in sorted(one.packages.items())) for one in found]
    lines = [
        ("Command", [one.command for one in found]),
        ("Commit", commits),
        ("Hardware", [one.hardware for one in found]),
        ("Packages", packages),
        ("Started (first run)", [min((one.started for one in found), default="")]),
        ("Finished (last run)", [max((one.finished for one in found if one.finished), default="")]),
        ("Seeds", [", ".join(map(str, results.plan.seeds))]),
    ]
    return [(label, list(dict.fromkeys(filter(None, values)))) for label, values in lines]
