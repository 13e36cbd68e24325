"""The points at which each arm of a study stands: the grid of its axes, without `exclude`, and with `include`.

A pattern is a mapping of `arm` and config paths to values: `{arm: rope, train.steps: 100}`. An arm or an axis that a
pattern does not name is meant with all its values. `exclude` takes cells of the grid away; `include` adds cells, with
values of its own at any config path.
"""

from __future__ import annotations

import itertools
import json
import operator
from collections.abc import Iterator, Mapping
from typing import Any

from vtbench.errors import suggest
from vtbench.schema.base import canonical_json
from vtbench.schema.study import Study
from vtbench.study.paths import run_path_problem
from vtbench.study.yaml_file import KeyPath, YamlFile

ARM = "arm"
EXCLUDE, INCLUDE = "exclude", "include"

Point = dict[str, Any]
"""A value for each axis, and for what an `include` sets beyond them."""
Pattern = Mapping[str, Any]


def points(study: Study) -> dict[str, list[Point]]:
    """Return the points of each arm: the grid, the last axis changing fastest, then what is included."""
    found: dict[str, list[Point]] = {arm.name: [] for arm in study.arms}
    grid = _products(study.axes)
    for arm, mine in found.items():
        mine += [point for point in grid if not any(_fits(pattern, arm, point) for pattern in study.exclude)]
    for pattern in study.include:
        for arm in _arms(pattern, study):
            found[arm] += _included(pattern, study)
    return found


def origin(study: Study, arm: str, point: Point, path: str) -> KeyPath:
    """Return where the value of a point at a config path stands in the study's file."""
    values = study.axes.get(path, ())
    # a study has many points, whose values are mostly the axes' own
    for same in (operator.is_, _same):
        for index, value in enumerate(values):
            if same(value, point[path]):
                return ("axes", path, index)
    for index, pattern in enumerate(study.include):
        if path in pattern and _same(pattern[path], point[path]) and arm in _arms(pattern, study):
            return (INCLUDE, index, path)
    return ("axes", path)


def axis_problems(study: Study, file: YamlFile) -> Iterator[str]:
    """Yield what is wrong with `axes`, `exclude` and `include`, a line each."""
    before: list[str] = []
    for path, values in study.axes.items():
        if problem := run_path_problem(tuple(path.split(".")), "an axis"):
            before.append(f"{file.locate(('axes', path))}: {problem}")
        if not values or len({json.dumps(value) for value in values}) < len(values):
            before.append(f"{file.locate(('axes', path))}: axes.{path}: a list of different values is needed.")
    for key, patterns in ((EXCLUDE, study.exclude), (INCLUDE, study.include)):
        for index, pattern in enumerate(patterns):
            before += _pattern_problems(key, index, pattern, study, file)
    yield from before or _cell_problems(study, file)


def _pattern_problems(key: str, index: int, pattern: Pattern, study: Study, file: YamlFile) -> Iterator[str]:
    arms = [arm.name for arm in study.arms]
    if not pattern:
        yield f"{file.locate((key, index))}: {key}[{index}]: name an arm or a config path."
    for path, value in pattern.items():
        place = f"{file.locate((key, index, path))}: {key}[{index}]"
        if path == ARM:
            if value not in arms:
                yield f"{place}.arm: no arm is called '{value}'.{suggest(str(value), arms)}"
        elif key == EXCLUDE:
            if path not in study.axes:
                yield f"{place}: '{path}' is no axis.{suggest(path, [ARM, *study.axes])}"
            elif not any(_same(value, known) for known in study.axes[path]):
                near = suggest(str(value), [str(known) for known in study.axes[path]])
                yield f"{place}.{path}: the axis has no value {json.dumps(value)}.{near}"
        elif problem := run_path_problem(tuple(path.split(".")), "an included cell"):
            yield f"{place}: {problem}"


def _cell_problems(study: Study, file: YamlFile) -> Iterator[str]:
    """Yield patterns that change nothing, cells that come twice, and arms that have none."""
    grid = _products(study.axes)
    for index, pattern in enumerate(study.exclude):
        others = [other for number, other in enumerate(study.exclude) if number < index]
        if not any(
            _fits(pattern, arm.name, point) and not any(_fits(other, arm.name, point) for other in others)
            for arm in study.arms
            for point in grid
        ):
            yield f"{file.locate((EXCLUDE, index))}: exclude[{index}]: no cell is left that it fits."
    for index, pattern in enumerate(study.include):
        before = study.model_copy(update={"include": study.include[:index]})
        known = points(before)
        for arm in _arms(pattern, study):
            if repeated := [p for p in _included(pattern, study) if any(_same(p, other) for other in known[arm])]:
                text = ", ".join(f"{path}={value}" for path, value in repeated[0].items())
                yield f"{file.locate((INCLUDE, index))}: include[{index}]: {arm} is at {text or 'this point'} already."
    for arm, mine in points(study).items():
        if not mine:
            yield f"{file.locate(('arms', arm))}: arms.{arm}: exclude leaves no cell of it; remove the arm."


def _arms(pattern: Pattern, study: Study) -> list[str]:
    return [pattern[ARM]] if ARM in pattern else [arm.name for arm in study.arms]


def _included(pattern: Pattern, study: Study) -> list[Point]:
    """Return the points that a pattern adds: of an axis that it does not name, all values."""
    own = {path: value for path, value in pattern.items() if path != ARM}
    return _products({**study.axes, **{path: (value,) for path, value in own.items()}})


def _products(axes: Mapping[str, Any]) -> list[Point]:
    """Return the grid of values, the last axis changing fastest; one empty point without axes."""
    return [dict(zip(axes, values, strict=True)) for values in itertools.product(*axes.values())]


def _fits(pattern: Pattern, arm: str, point: Point) -> bool:
    """Return whether a pattern means a cell of the grid."""
    return all(
        value == arm if path == ARM else path in point and _same(value, point[path]) for path, value in pattern.items()
    )


def _same(value: Any, other: Any) -> bool:
    """Return whether two values are the same in JSON: `1` and `true` are not."""
    return value is other or canonical_json(value) == canonical_json(other)
