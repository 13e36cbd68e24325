"""`report`: write a report again, or check that a committed one is up to date."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vtbench.cli.arguments import DEFAULT_PROFILE, RootOption, matching_plans, open_store, report_folder
from vtbench.cli.output import say
from vtbench.study.load import find_study, load_study


def report(
    study: Annotated[
        str, typer.Argument(metavar="STUDY", help="A study's file or name, or STUDY@PROFILE.", show_default=False)
    ],
    check: Annotated[
        bool, typer.Option("--check", help="Write nothing; fail if the report is not what its data give today.")
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

    A cell without a result is shown as missing. `--check` needs no store: a report's folder holds its own data.

    Example: `python -m vtbench report pos_embed --check`
    """
    # matplotlib comes with it, and takes a second
    from vtbench.report import render

    if check:
        plan_id = study if "@" in study else f"{_name(study)}@{DEFAULT_PROFILE}"
        folder = report_dir if report_dir is not None else report_folder(plan_id)
        render.check(folder)
        say(f"{folder} is up to date")
        return
    store = open_store(root)
    found = matching_plans(store, study)
    if report_dir is not None and len(found) > 1:
        wanted = [plan_id for plan_id in found if plan_id.endswith(f"@{DEFAULT_PROFILE}")]
        found = wanted or found[:1]
    for plan_id in found:
        path = render.render_study(store, plan_id, report_dir if report_dir is not None else report_folder(plan_id))
        say(f"report: {path}")


def _name(study: str) -> str:
    """Return the name of a study that is given by file or name."""
    return load_study(find_study(study)).name if Path(study).is_file() else study
