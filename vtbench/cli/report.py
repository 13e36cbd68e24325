"""`report`: write a report again, or check that a committed one is up to date."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Annotated

import typer

from vtbench.cli.arguments import (
    DEFAULT_PROFILE,
    RootOption,
    load_any_study,
    matching_plans,
    open_store,
    report_folder,
)
from vtbench.cli.cost_study import is_cost_study, report_cost_study
from vtbench.cli.output import say
from vtbench.cli.protocol_study import is_protocol_study, report_protocol_study
from vtbench.cli.search import write_search_report
from vtbench.errors import StoreError, StudyError, suggest
from vtbench.store.files import read_json
from vtbench.store.search import load_ledger
from vtbench.study.baselines import CLAIMS
from vtbench.study.cards import load_cards
from vtbench.study.claims import load_claims
from vtbench.study.load import COST, PROTOCOLS, TRAINING, find_study
from vtbench.study.search import SEARCH

DATA_FILE = "data.json"

_RENDERERS = {
    TRAINING: "vtbench.report.render",
    COST: "vtbench.report.cost_study",
    PROTOCOLS: "vtbench.report.protocol_study",
    SEARCH: "vtbench.report.search",
}
"""Modules that render and check a kind of report; matplotlib comes with them, and takes a second."""


def report(
    study: Annotated[
        str, typer.Argument(metavar="STUDY", help="A study's file or name, or STUDY@PROFILE.", show_default=False)
    ],
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail if the report is not what its data give today.")
    ] = False,
    from_data: Annotated[
        bool, typer.Option("--from-data", help="Render a committed report again from its own data; needs no runs.")
    ] = False,
    root: RootOption = None,
    report_dir: Annotated[
        Path | None,
        typer.Option(
            "--report-dir", metavar="DIR", help="The report's folder. [default: reports/STUDY]", show_default=False
        ),
    ] = None,
) -> None:
    """Write the report of what is in the store, finished or not; or check a committed one.

    A cell without a result is shown as missing. `--check` and `--from-data` need no store: a report's folder holds its
    own data.

    Example: `python -m vtbench report pos_embed --check`
    """
    if check and from_data:
        raise StudyError("--check and --from-data do not go together: the first writes nothing, the second writes.")
    plan_id = study if "@" in study else f"{_name(study)}@{DEFAULT_PROFILE}"
    folder = report_dir if report_dir is not None else report_folder(plan_id)
    if check:
        _check(folder)
        say(f"{folder} is up to date")
        return
    if from_data:
        say(f"report: {_render(folder)}")
        return
    store = open_store(root)
    path = _study_path(study)
    if path is not None and is_cost_study(path):
        report_cost_study(path, store, report_dir)
        return
    if path is not None and is_protocol_study(path):
        report_protocol_study(path, report_dir)
        return
    # matplotlib comes with it, and takes a second
    from vtbench.report import render

    found = matching_plans(store, study)
    if report_dir is not None and len(found) > 1:
        wanted = [plan_id for plan_id in found if plan_id.endswith(f"@{DEFAULT_PROFILE}")]
        found = wanted or found[:1]
    for plan_id in found:
        if load_ledger(store, plan_id) is not None:
            write_search_report(store, plan_id, report_dir)
            continue
        path = render.render_study(store, plan_id, report_dir if report_dir is not None else report_folder(plan_id))
        say(f"report: {path}")


def _check(folder: Path) -> None:
    """Raise a `StoreError` if a report is stale; its data say what kind of report it is."""
    kind = _kind(folder)
    if kind == CLAIMS:
        from vtbench.report.claims import check_claims

        check_claims(folder, load_claims(models=load_cards()))
    else:
        import_module(_RENDERERS[kind]).check(folder)


def _render(folder: Path) -> Path:
    """Render a report again from its own data."""
    kind = _kind(folder)
    if kind == CLAIMS:
        from vtbench.report.claims import load_audit, render_claims

        return render_claims(load_audit(folder), folder)
    path: Path = import_module(_RENDERERS[kind]).render(folder)
    return path


def _kind(folder: Path) -> str:
    """Return what kind of report a folder holds; one without data counts as a training study's."""
    path = folder / DATA_FILE
    data = read_json(path) if path.exists() else {}
    kind = str(data.get("kind", TRAINING)) if isinstance(data, dict) else TRAINING
    known = (*_RENDERERS, CLAIMS)
    if kind not in known:
        raise StoreError(f"{path}: '{kind}' is no kind of report.{suggest(kind, known)}")
    return kind


def _study_path(study: str) -> Path | None:
    """Return the file of a study that is given by file or bare name; None for `STUDY@PROFILE`, or without a file."""
    try:
        return find_study(study)
    except StudyError:
        return None


def _name(study: str) -> str:
    """Return the name of a study that is given by file or name."""
    return load_any_study(Path(study)).name if Path(study).is_file() else study
