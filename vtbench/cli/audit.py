"""`audit`: recompute what publications claim."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from vtbench.cli.arguments import REPORTS
from vtbench.cli.output import say
from vtbench.schema.claim import ANY, ClaimResult
from vtbench.study.baselines import CLAIMS
from vtbench.study.cards import load_cards, workload
from vtbench.study.claims import choose_claims, load_claims

COMMAND = "python -m vtbench audit"


def audit(
    claims: Annotated[
        list[str] | None,
        typer.Argument(metavar="[CLAIM]...", help="Ids of claims; all if left out.", show_default=False),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print the results as JSON instead.")] = False,
    check: Annotated[
        bool,
        typer.Option("--check", help="Count nothing; fail if the report is stale."),
    ] = False,
    report_dir: Annotated[
        Path | None,
        typer.Option(
            "--report-dir", metavar="DIR", help="The report's folder. [default: reports/claims]", show_default=False
        ),
    ] = None,
) -> None:
    """Recompute published claims about cost (`baselines/claims.yaml`) and say which hold, and what was counted.

    Writes the report if all claims are audited, or if `--report-dir` names a folder for the report of some.

    Example: `python -m vtbench audit grid-33-percent`
    """
    cards = load_cards()
    known = load_claims(models=cards)
    folder = report_dir if report_dir is not None else REPORTS / CLAIMS
    if check:
        # pandas and matplotlib come with reports, torch with counting; both take seconds
        from vtbench.report.claims import check_claims

        check_claims(folder, known)
        say(f"{folder} is up to date")
        return
    chosen = choose_claims(known, claims or ())
    from vtbench.report.claims import render_claims
    from vtbench.runner.audit import audit_claims
    from vtbench.store.provenance import collect

    found = audit_claims(chosen, cards, workload, collect(COMMAND))
    if json:
        typer.echo(found.model_dump_json(indent=1))
    else:
        _show(found.results)
    if not claims or report_dir is not None:
        path = render_claims(found, folder)
        if not json:
            say(f"report: {path}")


def _show(results: tuple[ClaimResult, ...]) -> None:
    """Print claims by verdict, each with why and its arithmetic."""
    from vtbench.report.verdicts import HEADINGS, ORDER, label, published_text, sentence, shown_conventions, workings

    for verdict in ORDER:
        group = [result for result in results if result.verdict == verdict]
        if group:
            say(f"{HEADINGS[verdict].upper()} ({len(group)})\n")
        for result in group:
            say(f"{result.claim.id}: {result.claim.text}")
            say(f"  {label(result)}. {sentence(result)}")
            for index, figure in enumerate(result.claim.figures):
                steps = {step.name: step for step in workings(result, index)}
                for step in (steps[name] for name in shown_conventions(result) if name in steps):
                    beside = f" (published {published_text(figure)}, {step.difference})" if step.difference else ""
                    under = "" if step.name == ANY else f" [{step.convention}]"
                    say(f"    {figure.label}{under}: {step.arithmetic} = {step.value}{beside}")
            say("")
