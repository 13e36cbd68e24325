"""The report of an audit: every claim with its verdict, the arithmetic, and the honest figure beside the published one.

A pure function of the audit's `data.json`, so that a committed report can be rendered again without counting; it is
stale when the claims in `baselines/claims.yaml` are no longer those that were audited.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from pathlib import Path

from vtbench.errors import StoreError
from vtbench.report.gather import DATA_FILE, layout
from vtbench.report.page import Page
from vtbench.report.tables import NONE, Column, Table
from vtbench.report.verdicts import (
    HEADINGS,
    ORDER,
    convention_text,
    conventions_of,
    difference_text,
    label,
    published_text,
    sentence,
    shown_conventions,
    term_about,
    term_text,
    with_unit,
    workings,
)
from vtbench.schema.claim import ANY, HONEST, Audit, Claim, ClaimResult
from vtbench.schema.convention import CONVENTIONS
from vtbench.store.files import write_atomic
from vtbench.store.query import load_versioned

COMMAND = "python -m vtbench audit"
_PACKAGES = ("vtbench", "torch", "fvcore")
"""What decides a count; a rendered report names the versions of these alone."""


@dataclass(frozen=True, kw_only=True)
class ClaimView:
    """What a template shows of one claim."""

    result: ClaimResult
    label: str
    sentence: str
    figures: Table | None
    terms: Table | None
    steps: Table | None

    @property
    def claim(self) -> Claim:
        """The claim."""
        return self.result.claim

    @property
    def mark(self) -> str:
        """The verdict as the name of a style."""
        return self.result.verdict.replace(" ", "-")


def render_claims(audit: Audit, out_dir: Path) -> Path:
    """Write an audit's data and its report into `out_dir`, and return the path of the HTML file."""
    write_atomic(out_dir / DATA_FILE, layout(audit))
    return page(audit).write(out_dir)


def load_audit(out_dir: Path) -> Audit:
    """Return the audit whose report is in `out_dir`.

    Raises:
        StoreError: there is none, or its data are broken or of a newer version.
    """
    path = out_dir / DATA_FILE
    if not path.exists():
        raise StoreError(f"{out_dir} holds no audit: {DATA_FILE} is missing. `{COMMAND}` makes one.")
    return load_versioned(path, Audit)


def check_claims(out_dir: Path, claims: tuple[Claim, ...]) -> None:
    """Raise a `StoreError` if the report in `out_dir` is not what its data give today, or is not about `claims`."""
    audit = load_audit(out_dir)
    audited = {result.claim.id: result.claim for result in audit.results}
    now = {claim.id: claim for claim in claims}
    if list(audited.values()) != list(now.values()):
        changed = [name for name in {**audited, **now} if audited.get(name) != now.get(name)]
        about = f"the claims {', '.join(changed)} are" if len(changed) > 1 else f"the claim {''.join(changed)} is"
        why = f"{about} not what was audited" if changed else "the claims stand in another order"
        raise StoreError(f"{out_dir} is stale: {why}; run `{COMMAND}`.")
    page(audit).check(out_dir)


def page(audit: Audit) -> Page:
    """Return the report of an audit."""
    views = [_view(result) for result in audit.results]
    used = {name for result in audit.results for name in conventions_of(result)}
    return Page(
        template="claims",
        context={
            "counts": [(HEADINGS[v], v.replace(" ", "-"), _count(audit, v)) for v in ORDER],
            "summary": [(HEADINGS[v], _summary(audit, v)) for v in ORDER if _count(audit, v)],
            "groups": [(name, list(members)) for name, members in groupby(views, lambda view: view.claim.group)],
            "conventions": [row for name, row in CONVENTIONS.items() if name in used],
            "tool": audit.tool,
            "provenance": _provenance(audit),
        },
        command=COMMAND,
    )


def _count(audit: Audit, verdict: str) -> int:
    return sum(result.verdict == verdict for result in audit.results)


def _summary(audit: Audit, verdict: str) -> list[tuple[str, str, str]]:
    """Return (id, claim, why) of all claims with this verdict."""
    return [(r.claim.id, r.claim.text, sentence(r)) for r in audit.results if r.verdict == verdict]


def _view(result: ClaimResult) -> ClaimView:
    recomputed = bool(conventions_of(result))
    return ClaimView(
        result=result,
        label=label(result),
        sentence=sentence(result),
        figures=_figures(result) if result.claim.figures else None,
        terms=_terms(result) if recomputed else None,
        steps=_steps(result) if recomputed else None,
    )


def _figures(result: ClaimResult) -> Table:
    """Return the claim's figures: as published, under the verdict's convention, and with everything counted."""
    shown = shown_conventions(result)
    columns = [Column("Figure", numeric=False), Column("Published")]
    for name in shown:
        heading = {ANY: "Recomputed", HONEST: f"Everything counted ({HONEST})"}.get(name, convention_text(result, name))
        columns += [Column("value", heading), Column("difference", heading)]
    rows = []
    for figure, values in zip(result.claim.figures, result.figures, strict=True):
        row = [figure.label, published_text(figure) or NONE]
        for name in shown:
            if values:
                row += [with_unit(values[name], figure.unit), difference_text(figure, values[name]) or NONE]
            else:
                row += [NONE, NONE]
        rows.append(tuple(row))
    return Table("Figures", tuple(columns), tuple(rows))


def _terms(result: ClaimResult) -> Table:
    """Return the terms of the claim's formulas, one row each, with their number under each convention."""
    names = [name for name in conventions_of(result) if name != ANY]
    columns = [Column("Term", numeric=False), Column("What it is", numeric=False)]
    columns += [Column(convention_text(result, name)) for name in names] or [Column("Number")]
    rows = []
    for name, term in result.claim.terms.items():
        of = result.terms[name]
        cells = [term_text(term, of[rule] if rule in of else of[ANY]) for rule in names or [ANY]]
        rows.append((name, term_about(term), *cells))
    return Table("Terms", tuple(columns), tuple(rows))


def _steps(result: ClaimResult) -> Table:
    """Return each figure's formula with the numbers put in, under each convention."""
    columns = tuple(Column(name, numeric=name in ("Result", "Difference")) for name in _STEP_COLUMNS)
    rows = []
    for index, figure in enumerate(result.claim.figures):
        for step in workings(result, index):
            convention = NONE if step.name == ANY else step.convention
            rows.append((figure.label, convention, step.arithmetic, step.value, step.difference or NONE))
    if all(row[1] == NONE for row in rows):
        return Table("Arithmetic", (columns[0], *columns[2:]), tuple((row[0], *row[2:]) for row in rows))
    return Table("Arithmetic", columns, tuple(rows))


_STEP_COLUMNS = ("Figure", "Convention", "Arithmetic", "Result", "Difference")


def _provenance(audit: Audit) -> list[tuple[str, str]]:
    made = audit.provenance
    dirty = f", with changes ({made.dirty_hash})" if made.dirty_hash else ""
    packages = [f"{name} {made.packages[name]}" for name in _PACKAGES if name in made.packages]
    return [
        ("Commit", f"{made.commit or 'unknown'}{dirty}"),
        ("Packages", ", ".join(packages)),
        ("Counted by", audit.tool),
        ("Made", made.started),
    ]
