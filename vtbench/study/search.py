"""Studies that search: what `search:` may say, and which values it can ask.

A search has one implicit arm, the study's own values; its trials become arms once they are asked
(`vtbench.study.trials`).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any

from vtbench.errors import suggest
from vtbench.schema.base import parse_resolution
from vtbench.schema.search import FIRST, LAST, SearchConfig, SearchParameter
from vtbench.schema.study import Study
from vtbench.study.paths import EVALUATE, path_problem
from vtbench.study.problems import join
from vtbench.study.yaml_file import KeyPath, YamlFile

SEARCH = "search"
BASE_ARM = "base"
COUNTED = ("gflops", "num_parameters")
"""Costs that a search can optimise: counted, so that a search gives the same again; speed and memory are not."""

_FORBIDDEN = ("arms", "axes", "include", "exclude", "reference_arm", "published")


def with_implicit_arm(file: YamlFile) -> YamlFile:
    """Return the file of a search with its one arm; any other file as it is.

    Raises:
        StudyError: it has arms or axes of its own.
    """
    if SEARCH not in file.data:
        return file
    if given := [key for key in _FORBIDDEN if key in file.data]:
        raise join(
            f"{file.locate((key,))}: {key}: a study with `search` has trials instead; leave one of both out."
            for key in given
        )
    arms = {BASE_ARM: {"title": "The study's own values", "set": {}}}
    data = {**file.data, "arms": arms, "reference_arm": BASE_ARM}
    return YamlFile(path=file.path, data=data, keys=file.keys, values=file.values)


def search_problems(study: Study, file: YamlFile) -> Iterator[str]:
    """Yield what is wrong with a study's search, a line each with its place."""
    search = study.search
    if search is None:
        return
    for place, text in _problems(study, search):
        shown = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in place)
        yield f"{file.locate((SEARCH, *place))}: {SEARCH}{shown}: {text}"


def corners(search: SearchConfig) -> list[dict[str, Any]]:
    """Return the first end of every parameter, then each other end alone: what a study can check and cost beforehand.

    All combinations would be too many to count.
    """
    first = {path: parameter.ends[0] for path, parameter in sorted(search.space.items())}
    others = [{**first, path: end} for path, parameter in sorted(search.space.items()) for end in parameter.ends[1:]]
    return [first, *others]


def grid_values(parameter: SearchParameter) -> list[Any]:
    """Return the values that a grid takes of a parameter, each once."""
    if parameter.choices is not None:
        return list(parameter.choices)
    low, high = float(parameter.ends[0]), float(parameter.ends[-1])
    number = parameter.num_points
    if number is None:
        step = parameter.step or 1.0
        values = [low + index * step for index in range(int((high - low) / step + 1e-9) + 1)]
    elif number == 1:
        values = [low]
    elif parameter.log:
        values = [low * (high / low) ** (index / (number - 1)) for index in range(number)]
    else:
        values = [low + (high - low) * index / (number - 1) for index in range(number)]
    return list(dict.fromkeys(tidy(parameter, value) for value in values))


def tidy(parameter: SearchParameter, value: float) -> float | int:
    """Return a proposed number as a config takes it: a whole one, or with four digits that can be read.

    Last bits that differ between machines then make no other run.
    """
    if parameter.type == "int":
        return round(value)
    digits = 4 if parameter.step is None else 10
    return float(min(max(float(f"{value:.{digits}g}"), parameter.ends[0]), parameter.ends[-1]))


def num_trials(search: SearchConfig, profile: str) -> int:
    """Return how many trials a search takes at a profile; a grid never more than it has points."""
    wanted = search.num_trials(profile)
    if search.sampler.name != "grid":
        return wanted
    points = 1
    for parameter in search.space.values():
        points *= len(grid_values(parameter))
    return min(wanted, points + len(search.start))


def _problems(study: Study, search: SearchConfig) -> Iterator[tuple[KeyPath, str]]:
    for key, values in (("space", search.space), ("objectives", search.objectives)):
        if not values:
            yield (key,), "at least one is needed."
    for path, parameter in search.space.items():
        parts = tuple(path.split("."))
        if parts[0] == EVALUATE:
            yield ("space", path), "all trials are measured alike; set it in base or in a profile."
        elif problem := path_problem(parts):
            yield ("space", path), problem
        yield from _sampler_problems(search, path, parameter)
    for one, other in itertools.permutations(search.space, 2):
        if other.startswith(f"{one}."):
            yield ("space", other), f"'{one}' is searched too, and would set it as well."
    yield from _objective_problems(study, search)
    yield from _start_problems(search)
    if isinstance(search.trials, dict):
        names = [profile.name for profile in study.profiles]
        if not search.trials:
            yield ("trials",), "a number, or one for a profile, is needed."
        for name in search.trials:
            if name not in names:
                yield ("trials", name), f"the study has no profile '{name}'.{suggest(name, names)}"


def _sampler_problems(search: SearchConfig, path: str, parameter: SearchParameter) -> Iterator[tuple[KeyPath, str]]:
    name = search.sampler.name
    if name == "cmaes" and parameter.choices is not None:
        yield ("space", path), "CMA-ES moves through numbers and has nothing for choices; tpe takes them."
    whole = parameter.type == "int" or parameter.step is not None
    if name == "grid" and parameter.choices is None and parameter.num_points is None and not whole:
        yield ("space", path), "a grid needs num_points, a step or choices."
    if name != "grid" and parameter.num_points is not None:
        yield ("space", path, "num_points"), f"the sampler {name} takes any value; only a grid has points."


def _objective_problems(study: Study, search: SearchConfig) -> Iterator[tuple[KeyPath, str]]:
    known = {*study.metrics, *COUNTED, *(name for profile in study.profiles for name in profile.metrics or ())}
    for number, objective in enumerate(search.objectives):
        place: KeyPath = ("objectives", number)
        if objective.metric not in known:
            why = "is not among the study's metrics, nor a cost that is counted"
            yield (*place, "metric"), f"'{objective.metric}' {why}.{suggest(objective.metric, known)}"
        if objective.at not in (FIRST, LAST):
            try:
                parse_resolution(objective.at)
            except ValueError:
                yield (*place, "at"), f"'{objective.at}' is no place; write first, last or HEIGHTxWIDTH."
    if len(set(search.objectives)) < len(search.objectives):
        yield ("objectives",), "one of them is there twice."
    if len(search.objectives) > 1:
        if search.pruner.name != "none":
            yield ("pruner",), "one log value cannot stand for several objectives; leave the pruner out."
        if search.sampler.name == "cmaes":
            yield ("sampler", "name"), "CMA-ES takes one objective; tpe takes several."


def _start_problems(search: SearchConfig) -> Iterator[tuple[KeyPath, str]]:
    for number, point in enumerate(search.start):
        for path in search.space.keys() - point.keys():
            yield ("start", number), f"'{path}' is missing; a start names a value for each path of search.space."
        for path, value in point.items():
            place: KeyPath = ("start", number, path)
            if path not in search.space:
                yield place, f"'{path}' is not searched.{suggest(path, search.space)}"
            elif not search.space[path].contains(value):
                yield place, f"{value!r} is none of the values of search.space."
