"""From a study's file to its plan with costs, as `plan` and `run` need it: what is wrong is said, or is an error."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import typer

from vtbench.cli.output import say
from vtbench.errors import StudyError, VtbenchError, suggest
from vtbench.schema.study import StudyPlan
from vtbench.store.layout import Store
from vtbench.store.remembered import Remembered
from vtbench.study.baselines import load_baseline
from vtbench.study.expand import expand
from vtbench.study.load import COST, PROTOCOLS, load_study, study_kind


@dataclass(frozen=True, kw_only=True)
class Asked:
    """What the command line asks of each study whose arms train.

    Attributes:
        profile: at which scale.
        seeds: how many seeds, None for the study's.
        overrides: values by config path.
        devices: whether the runs go on this machine, so that it must have the devices.
    """

    profile: str
    seeds: int | None
    overrides: Mapping[str, Any]
    devices: bool


def checked_plan(path: Path, asked: Asked, store: Store) -> StudyPlan:
    """Return a study's plan with its facts, after all that can be checked beforehand.

    Raises:
        VtbenchError: something is wrong; says all of it.
    """
    plan = expand(load_study(path), asked.profile, asked.seeds, asked.overrides)
    # these import scipy and torch, and what is wrong above should not wait for that
    from vtbench.study.check import check_plan

    for name in plan.study.published:
        load_baseline(name)
    for part in needed(plan):
        check_plan(part, store.cache_dir, {}, asked.devices)
    check_plan(plan, store.cache_dir, asked.overrides, asked.devices)
    return _with_facts(plan, Remembered(store.cache_dir))


def costed_plan(path: Path, asked: Asked, store: Store) -> tuple[StudyPlan, list[str]]:
    """Return a study's plan, with its facts where they can be counted, and a line for each thing that a run needs."""
    plan = expand(load_study(path), asked.profile, asked.seeds, asked.overrides)
    # these import scipy and torch, and what is wrong above should not wait for that
    from vtbench.study.check import problems

    missing = [line for part in needed(plan) for line in problems(part, store.cache_dir, devices=asked.devices)]
    missing += problems(plan, store.cache_dir, asked.overrides, devices=asked.devices)
    for name in plan.study.published:
        try:
            load_baseline(name)
        except VtbenchError as error:
            missing.append(str(error))
    try:
        plan = _with_facts(plan, Remembered(store.cache_dir))
    except VtbenchError as error:
        missing.append(str(error))
    return plan, list(dict.fromkeys(missing))


def needed(plan: StudyPlan) -> Iterator[StudyPlan]:
    """Yield the parts of other studies' plans that a plan needs, what they need themselves before them."""
    for part in plan.needs:
        yield from needed(part)
        yield part


def _with_facts(plan: StudyPlan, remembered: Remembered) -> StudyPlan:
    # torch comes with it
    from vtbench.study.fairness import facts

    needs = tuple(_with_facts(part, remembered) for part in plan.needs)
    return plan.model_copy(update={"facts": facts(plan, remembered), "needs": needs})


class Failures:
    """Errors of some of several studies: each is printed at once, and the others go on."""

    def __init__(self) -> None:
        self._found: dict[Path, int] = {}

    def __contains__(self, path: object) -> bool:
        return path in self._found

    @contextmanager
    def of(self, path: Path) -> Iterator[None]:
        """Print an error that a user can mend and note it; inside is what is done for the study of one file."""
        try:
            yield
        except VtbenchError as error:
            typer.echo(f"{path}: failed\n{error}" if str(path) not in str(error) else str(error), err=True)
            self._found[path] = error.exit_code

    def end(self) -> None:
        """Leave with the highest exit code if something failed, after naming the studies that did."""
        if self._found:
            typer.echo(f"\nFailed: {', '.join(map(str, self._found))}", err=True)
            raise typer.Exit(max(self._found.values()))


def say_missing(lines: Iterable[str]) -> None:
    """Print what has to be there before anything can run, if something has."""
    if unique := list(dict.fromkeys(lines)):
        say("\nNeeded before running:")
        for line in unique:
            say(f"  {line}")


def with_profile(paths: Iterable[Path], profile: str) -> list[Path]:
    """Return the studies that have a profile, or need none, of several; say which are left out.

    A file that cannot be read stays in: whoever loads it says what is wrong.

    Raises:
        StudyError: none of those that need one has it.
    """
    kept, known, trains = [], set(), False
    for path in dict.fromkeys(paths):
        try:
            names = _profiles(path)
        except VtbenchError:
            names = None
        if names is None or profile in names:
            kept.append(path)
        else:
            say(f"{path}: left out, as it has no profile '{profile}'")
        trains |= names is not None and profile in names
        known |= names or set()
    if known and not trains:
        raise StudyError(f"None of these studies has a profile '{profile}'.{suggest(profile, sorted(known))}")
    return kept


def _profiles(path: Path) -> set[str] | None:
    """Return the names of a study's profiles; None for a study that has none."""
    if study_kind(path) in (COST, PROTOCOLS):
        return None
    return {profile.name for profile in load_study(path).profiles}
