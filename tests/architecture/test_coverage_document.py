"""docs/coverage.md names studies, arms and claims that exist, and no study is left out."""

import re
from functools import cache
from pathlib import Path

import pytest

from vtbench.cli.arguments import load_any_study
from vtbench.study.claims import load_claims

ROOT = Path(__file__).parents[2]
TEXT = (ROOT / "docs" / "coverage.md").read_text(encoding="utf-8")
STUDIES = {path.stem: path for path in sorted((ROOT / "studies").glob("*.yaml"))}
ROWS = [line for line in TEXT.splitlines() if line.startswith("| ") and not line.startswith(("| claim", "|--"))]
AUDIT = re.compile(r"audit ((?:`[a-z0-9-]+`(?:, )?)+)")
NAMED = re.compile(r"`([a-z0-9_]+)`(?:: ((?:`[a-z0-9_]+`(?:, )?)+))?")


@cache
def _claims():
    return {claim.id for claim in load_claims()}


def _names(text):
    return re.findall(r"`([^`]+)`", text)


def _studies(text):
    """Return (study, arms) of a text."""
    return [(study, _names(arms)) for study, arms in NAMED.findall(AUDIT.sub("", text))]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row.split("|")[1].strip()[:40])
def test_a_row_names_what_exists(row):
    _, claim, slide, tested, _ = row.split("|")
    assert claim.strip()
    assert slide.strip()
    named = _studies(tested)
    claims = [name for names in AUDIT.findall(tested) for name in _names(names)]
    assert named or claims or "to come" in tested
    assert {study for study, _ in named} <= STUDIES.keys()
    for study, arms in named:
        assert set(arms) <= {arm.name for arm in load_any_study(STUDIES[study]).arms}, study
    assert set(claims) <= _claims()


def test_the_text_below_names_what_exists():
    for study, arms in _studies(TEXT.partition("## Beside the slides")[2]):
        assert set(arms) <= {arm.name for arm in load_any_study(STUDIES[study]).arms}, study


def test_every_study_is_named():
    named = {study for study, _ in _studies(TEXT)}
    assert sorted(STUDIES.keys() - named) == []


def test_a_row_is_read_as_meant():
    assert _studies("`a`: `x`, `y`; `b`; audit `c-d`, `e`") == [("a", ["x", "y"]), ("b", [])]
