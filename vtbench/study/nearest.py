"""The stored run that is most like a given one, and in what they differ: why a result is not reused.

Only what a run's id depends on is compared; fields that cannot change a result are left out, as in the id.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from vtbench.schema.run import RunSpec
from vtbench.study.identity import section_texts

ABSENT = "(not there)"
"""Stands for the value of a field that one of two configs does not have, as an older version did not know it."""


@dataclass(frozen=True, kw_only=True)
class Difference:
    """A field in which two runs differ, by its path, with both values as JSON."""

    path: str
    ours: str
    theirs: str


@dataclass(frozen=True, kw_only=True)
class Nearest:
    """The run that differs in the fewest fields."""

    run_id: str
    differences: tuple[Difference, ...]


def nearest(spec: RunSpec, others: Iterable[RunSpec]) -> Nearest | None:
    """Return which of `others` differs from `spec` in the fewest fields; None if there are no others.

    Of equally near ones the first counts; the seed is a field like any other.

    Args:
        spec: the run that is to be explained.
        others: runs to compare with; itself, by its id, is passed over.
    """
    best: tuple[int, RunSpec] | None = None
    mine = section_texts(spec.config)
    for other in others:
        if other.run_id == spec.run_id:
            continue
        number = int(other.seed != spec.seed) + int(other.needs != spec.needs)
        theirs = section_texts(other.config)
        number += sum(len(_section_differences(*pair)) for pair in _pairs(mine, theirs).values())
        if best is None or number < best[0]:
            best = number, other
    if best is None:
        return None
    return Nearest(run_id=best[1].run_id, differences=tuple(differences(spec, best[1])))


def differences(spec: RunSpec, other: RunSpec) -> list[Difference]:
    """Return the fields in which two runs differ, of those that their ids depend on."""
    found = []
    for name, pair in _pairs(section_texts(spec.config), section_texts(other.config)).items():
        for path, (a, b) in _section_differences(*pair).items():
            found.append(Difference(path=f"{name}.{path}" if path else name, ours=a, theirs=b))
    for name in ("seed", "needs"):
        a, b = getattr(spec, name), getattr(other, name)
        if a != b:
            found.append(Difference(path=name, ours=json.dumps(a), theirs=json.dumps(b)))
    return found


def _pairs(ours: Mapping[str, str], theirs: Mapping[str, str]) -> dict[str, tuple[str, str]]:
    """Return both texts of each section; one that a run does not have (`generator`) is empty."""
    return {name: (ours.get(name, "{}"), theirs.get(name, "{}")) for name in {**ours, **theirs}}


@lru_cache(100_000)
def _section_differences(ours: str, theirs: str) -> Mapping[str, tuple[str, str]]:
    """Return path -> both values as JSON; many runs share each section."""
    if ours == theirs:
        return {}
    a, b = _leaves(json.loads(ours)), _leaves(json.loads(theirs))
    paths = [*a, *(path for path in b if path not in a)]
    return {path: (a.get(path, ABSENT), b.get(path, ABSENT)) for path in paths if a.get(path) != b.get(path)}


def _leaves(value: Any, path: str = "") -> dict[str, str]:
    """Return dotted path -> JSON of each value that is no mapping; a list is one value, and an absent section none."""
    if value == {} and not path:
        return {}
    if not isinstance(value, dict) or not value:
        return {path: json.dumps(value, ensure_ascii=False)}
    found: dict[str, str] = {}
    for key, inner in value.items():
        found |= _leaves(inner, f"{path}.{key}" if path else str(key))
    return found
