"""Second half of a protocol study's report: Markdown, HTML and a figure, a pure function of `data.json`."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from vtbench.report import protocol_tables
from vtbench.report.page import Page
from vtbench.report.plots.protocol_values import protocol_values
from vtbench.report.plots.style import styled
from vtbench.report.protocol_data import Disagreement, ProtocolReportData, load_protocols, save_protocols
from vtbench.report.tables import CREDITS


def render_protocols(data: ProtocolReportData, out_dir: Path) -> Path:
    """Write a study's data and report into `out_dir` and return the path of the HTML file."""
    save_protocols(data, out_dir)
    return render(out_dir)


def render(out_dir: Path) -> Path:
    """Render a report again from its data; returns the path of the HTML file, raises a `StoreError` without data."""
    return _page(out_dir).write(out_dir)


def check(out_dir: Path) -> None:
    """Raise a `StoreError` if the Markdown or HTML in `out_dir` is not what its data give today."""
    _page(out_dir).check(out_dir)


def _page(folder: Path) -> Page:
    found = Disagreement(load_protocols(folder))
    with styled():
        drawing = protocol_values(found)
    return Page(
        template="protocol_study",
        context=_context(found),
        command=f"python -m vtbench report {found.study.path}",
        drawings={} if drawing is None else {"protocol_values": drawing},
    )


def _context(found: Disagreement) -> dict[str, Any]:
    return {
        "study": found.study,
        "findings": protocol_tables.findings(found),
        "values": [table for metric in found.metrics for table in protocol_tables.values(found, metric)],
        "distances": protocol_tables.distances(found),
        "arms": protocol_tables.arms(found),
        "refusals": list(filter(None, map(found.refusal, found.metrics[:2]))),
        "provenance": _provenance(found),
        "credit": CREDITS.get(found.study.data.name),
    }


def _provenance(found: Disagreement) -> list[tuple[str, str]]:
    made = found.data.provenance
    dirty = f", dirty ({made.dirty_hash})" if made.dirty_hash else ""
    lines = [
        ("Command", made.command),
        ("Commit", f"{made.commit or 'unknown'}{dirty}"),
        ("Hardware", made.hardware),
        ("Packages", ", ".join(f"{name} {version}" for name, version in sorted(made.packages.items()))),
        ("Written", made.started),
    ]
    return [(label, value) for label, value in lines if value]
