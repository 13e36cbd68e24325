"""Second half of a report: Markdown, HTML and figures, a pure function of `data.json`, `samples/` and `baselines/`."""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from vtbench.errors import StoreError
from vtbench.report import tables
from vtbench.report.findings import findings
from vtbench.report.gather import gather, load
from vtbench.report.plots import ORDER, PLOTS
from vtbench.report.plots.style import Drawing, PlotData, styled
from vtbench.report.published import BASELINES, load_baseline, published
from vtbench.report.results import Results
from vtbench.schema.base import canonical_json
from vtbench.store.files import read_text, write_atomic
from vtbench.store.layout import Store

MARKDOWN, HTML, FIGURES = "README.md", "index.html", "figures"
_IMAGE = re.compile(r"data:image/png;base64,[A-Za-z0-9+/=]*")


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
    gather(store, plan_id, out_dir)
    return render(out_dir, baselines)


def render(out_dir: Path, baselines: Path = BASELINES) -> Path:
    """Render a gathered report again; needs no store.

    Returns:
        The path of the HTML file.

    Raises:
        StoreError: a file of the report is missing or broken, a published system is not there, or values of one metric
            were measured in different ways.
    """
    results = Results(load(out_dir))
    images = {}
    with styled():
        drawings = _draw(results, out_dir)
        for name, drawing in drawings.items():
            images[name] = drawing.png()
            write_atomic(out_dir / FIGURES / f"{name}.png", images[name], sync=False)
    for old in (out_dir / FIGURES).glob("*.png"):
        if old.stem not in images:
            old.unlink()
    context = _context(results, drawings, baselines)
    write_atomic(out_dir / MARKDOWN, _text("report.md", context, {}))
    write_atomic(out_dir / HTML, _text("report.html", context, images))
    return out_dir / HTML


def check(out_dir: Path, baselines: Path = BASELINES) -> None:
    """Raise a `StoreError` if the Markdown or HTML in `out_dir` is not what its data give today.

    The pictures inside the HTML are not compared: their bytes change with the version of matplotlib.
    """
    results = Results(load(out_dir))
    with styled():
        drawings = _draw(results, out_dir)
    context = _context(results, drawings, baselines)
    for name, template, images in ((MARKDOWN, "report.md", {}), (HTML, "report.html", dict.fromkeys(drawings, b""))):
        now = _IMAGE.sub("", _text(template, context, images))
        if _IMAGE.sub("", read_text(out_dir / name)) != now:
            raise StoreError(f"{out_dir / name} is stale: run `{context['command']}`.")
    for name in drawings:
        if not (out_dir / FIGURES / f"{name}.png").exists():
            raise StoreError(f"{out_dir / FIGURES / name}.png is missing: run `{context['command']}`.")


def _draw(results: Results, folder: Path) -> dict[str, Drawing]:
    """Return the drawings of all plots that have something to show, in their order."""
    names = [*ORDER, *(name for name in PLOTS if name not in ORDER)]
    drawn = {name: PLOTS.load(name)(PlotData(results, folder)) for name in names}
    return {name: drawing for name, drawing in drawn.items() if drawing is not None}


def _context(results: Results, drawings: Mapping[str, Drawing], baselines: Path) -> dict[str, Any]:
    """Return everything that the templates show."""
    plan = results.plan
    profile = "" if plan.profile.name == plan.study.profiles[0].name else f" --profile {plan.profile.name}"
    return {
        "plan": plan,
        "study": plan.study,
        "profile": plan.profile,
        "findings": findings(results),
        "measurements": tables.measurements(results),
        "differences": tables.differences(results),
        "published": [published(load_baseline(name, baselines), plan.study.arms) for name in plan.study.published],
        "fairness": tables.fairness(results),
        "drawings": drawings,
        "provenance": _provenance(results),
        "runs": tables.runs(results),
        "protocols": tables.protocols(results),
        "credit": tables.credit(results),
        "command": f"python -m vtbench report {plan.study.path}{profile}",
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


def _text(template: str, context: Mapping[str, Any], images: Mapping[str, bytes]) -> str:
    """Return a rendered template, ending in one line break."""
    environment = Environment(
        loader=PackageLoader("vtbench.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {"md": _markdown, "code": _code, "json": canonical_json}
    encoded = {name: base64.b64encode(data).decode() for name, data in images.items()}
    text = environment.get_template(template).render(**context, images=encoded)
    return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def _markdown(text: object) -> Markup:
    """Return plain text as Markdown that shows just that text, on one line."""
    line = " ".join(str(text).split()).replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = re.sub(r"([\\`*\[\]|~])", r"\\\1", line)
    return Markup(re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", line))


def _code(text: object) -> Markup:
    """Return plain text as a Markdown code span that also stands in a table."""
    line = " ".join(str(text).split()).replace("`", "'").replace("|", r"\|")
    return Markup(f"`{line}`")
