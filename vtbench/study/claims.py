"""Reading `baselines/claims.yaml`, strictly: what others claim, and how to recompute it."""

from __future__ import annotations

import json
import re
from collections.abc import Collection, Iterator
from pathlib import Path

from pydantic import ValidationError

from vtbench.errors import StudyError, suggest
from vtbench.schema.base import Frozen
from vtbench.schema.claim import HONEST, MIXED, Claim, ClaimedFigure
from vtbench.schema.convention import CONVENTIONS
from vtbench.schema.formula import FUNCTIONS, parse_formula
from vtbench.study.baselines import BASELINES, CLAIMS
from vtbench.study.problems import describe, join
from vtbench.study.yaml_file import KeyPath, YamlFile, read_yaml

CLAIMS_FILE = BASELINES / f"{CLAIMS}.yaml"
"""The checkout's list of claims."""
_ID = re.compile(r"^[a-z0-9][a-z0-9-]*$")
_TERM = re.compile(r"^[a-z][a-z0-9_]*$")


class _ClaimFile(Frozen):
    """The top of the file."""

    claims: tuple[Claim, ...]


def load_claims(path: Path = CLAIMS_FILE, models: Collection[str] | None = None) -> tuple[Claim, ...]:
    """Read and check a file of claims.

    Args:
        path: the file.
        models: names of the model cards that there are; None leaves the claims' models unchecked.

    Raises:
        StudyError: something is wrong with it; a line for each problem, each beginning with `file:line`.
    """
    file = read_yaml(path)
    try:
        claims = _ClaimFile.model_validate_json(json.dumps(file.data)).claims
    except ValidationError as error:
        raise join(describe(error, _ClaimFile, file.data, lambda place: str(file.locate(place)))) from error
    lines = list(_repeated(claims, file))
    for index, claim in enumerate(claims):
        for place, problem in _problems(claim, models):
            lines.append(f"{file.locate(('claims', index, *place))}: {claim.id}: {problem}")
    if lines:
        raise join(lines)
    return claims


def choose_claims(claims: tuple[Claim, ...], ids: Collection[str]) -> tuple[Claim, ...]:
    """Return the claims called `ids`, in the file's order; all if none is named.

    Raises:
        StudyError: there is no such claim; the message has the nearest id.
    """
    known = [claim.id for claim in claims]
    for name in ids:
        if name not in known:
            raise StudyError(f"No claim is called '{name}'.{suggest(name, known)}")
    return tuple(claim for claim in claims if not ids or claim.id in ids)


def _repeated(claims: tuple[Claim, ...], file: YamlFile) -> Iterator[str]:
    first: dict[str, int] = {}
    for index, claim in enumerate(claims):
        if claim.id in first:
            line = file.locate(("claims", first[claim.id], "id")).line
            yield f"{file.locate(('claims', index, 'id'))}: the id '{claim.id}' is taken; line {line} has it too."
        first.setdefault(claim.id, index)


def _problems(claim: Claim, models: Collection[str] | None) -> Iterator[tuple[KeyPath, str]]:
    """Yield (place in the claim, what is wrong there)."""
    if not _ID.match(claim.id):
        yield ("id",), "an id has small letters, digits and '-'."
    yield from _convention_problems(claim)
    for name, term in claim.terms.items():
        if not _TERM.match(name) or name in FUNCTIONS:
            yield ("terms", name), f"'{name}' cannot name a term; use small letters, digits and '_', and no function."
        if models is not None and term.model is not None and term.model not in models:
            yield ("terms", name, "model"), f"no model is called '{term.model}'.{suggest(term.model, models)}"
    used: set[str] = set()
    for index, figure in enumerate(claim.figures):
        for problem in _figure_problems(claim, figure, used):
            yield ("figures", index, "formula" if figure.formula is not None else "label"), problem
    for name in claim.terms:
        if name not in used:
            yield ("terms", name), f"no formula uses the term '{name}'."
    tested = [figure for figure in claim.figures if figure.published is not None and figure.formula is not None]
    if not tested and not claim.needs:
        yield ("id",), "nothing tests this claim: give a figure what was published and a formula, or say what it needs."


def _convention_problems(claim: Claim) -> Iterator[tuple[KeyPath, str]]:
    if HONEST not in claim.conventions:
        yield ("conventions",), f"'{HONEST}' must be one of the conventions: it is the figure that others stand beside."
    for index, name in enumerate(claim.conventions):
        if name not in CONVENTIONS:
            yield ("conventions", index), f"no convention is called '{name}'.{suggest(name, CONVENTIONS)}"
    counted = [name for name, term in claim.terms.items() if term.counted]
    for name, convention in claim.as_published.items():
        if name not in counted:
            yield ("as_published", name), f"no term '{name}' counts FLOPs.{suggest(name, counted)}"
        if convention not in CONVENTIONS:
            yield ("as_published", name), f"no convention is called '{convention}'.{suggest(convention, CONVENTIONS)}"
    if claim.as_published and set(claim.as_published) < set(counted):
        missing = ", ".join(name for name in counted if name not in claim.as_published)
        yield ("as_published",), f"'{MIXED}' needs a convention for every term that counts FLOPs; add {missing}."


def _figure_problems(claim: Claim, figure: ClaimedFigure, used: set[str]) -> Iterator[str]:
    if figure.formula is None:
        if not claim.needs:
            yield f"the figure '{figure.label}' has no formula, and the claim does not say what it needs."
        return
    try:
        names = parse_formula(figure.formula).names
    except ValueError as error:
        yield f"{error}."
        return
    for name in sorted(names - set(claim.terms)):
        yield f"the formula has no term '{name}'.{suggest(name, claim.terms)}"
    used |= names
