"""Reading a study file, strictly.

The file is the registration of a question: what is asked, what is expected, which arms answer it, and at which scales
(profiles) it can be asked. Everything that needs no torch is checked here, so that a typo costs milliseconds;
components' own options are checked when the study is expanded.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from vtbench.data import DATASETS
from vtbench.errors import RegistryError, StudyError, suggest
from vtbench.evaluate import METRICS
from vtbench.models.tokenizers import TOKENIZERS
from vtbench.schema.study import Arm, Profile, Study
from vtbench.study.paths import EVALUATE, SECTIONS, path_problem
from vtbench.study.problems import describe, join
from vtbench.study.yaml_file import KeyPath, YamlFile, read_yaml

STUDIES = Path("studies")
_NAME = re.compile(r"^[a-z0-9][a-z0-9_.-]*$")
_NAMED: dict[str, type[BaseModel]] = {"arms": Arm, "profiles": Profile}
_REGISTRIES = {"tokenizer": TOKENIZERS, "data": DATASETS}


def find_study(name: str, folder: Path = STUDIES) -> Path:
    """Return the file that `name` stands for: a path, or the bare name of a file in `folder`.

    Raises:
        StudyError: neither exists; the message has the nearest name.
    """
    if (path := Path(name)).is_file():
        return path
    if (path := folder / f"{name}.yaml").is_file():
        return path
    known = [found.stem for found in folder.glob("*.yaml")]
    raise StudyError(f"No study is called '{name}', and there is no such file.{suggest(Path(name).stem, known)}")


def load_study(path: Path) -> Study:
    """Read and check a study file.

    Raises:
        StudyError: something is wrong with it; a line for each problem, each beginning with `file:line`.
    """
    if path.is_absolute() and path.is_relative_to(Path.cwd()):
        path = path.relative_to(Path.cwd())  # a plan and its report keep the path; they should not name this machine
    file = read_yaml(path)
    study = _parse(file)
    if lines := list(_problems(study, file)):
        raise join(lines)
    return study


def _parse(file: YamlFile) -> Study:
    """Turn the file's mappings of arms and profiles into the schema's lists, and check the types."""
    data: dict[str, Any] = dict(file.data)
    names: dict[str, list[str]] = {}
    lines = [f"{file.locate((key,))}: unknown key '{key}'.{_near_top(key)}" for key in data if key not in _top_keys()]
    for key in _NAMED:
        if isinstance(entries := data.get(key), dict):
            names[key] = list(entries)
            data[key] = [{**entry, "name": name} for name, entry in entries.items() if isinstance(entry, dict)]
            lines += list(_entry_problems(file, key, entries))
        elif key in data:
            lines.append(f"{file.locate((key,))}: {key}: a mapping of `name: ...` is needed.")
    if lines:
        raise join(lines)
    data["path"] = file.path

    def locate(path: KeyPath) -> str:
        if len(path) > 1 and path[0] in names and isinstance(path[1], int):
            path = (path[0], names[str(path[0])][path[1]], *path[2:])
        return str(file.locate(path))

    try:
        return Study.model_validate_json(json.dumps(data))
    except ValidationError as error:
        raise join(_named(describe(error, Study, data, locate), names)) from error


def _entry_problems(file: YamlFile, key: str, entries: dict[str, Any]) -> Iterator[str]:
    fields = [name for name in _NAMED[key].model_fields if name != "name"]
    for name, entry in entries.items():
        place = file.locate((key, name))
        if not isinstance(entry, dict):
            yield f"{place}: {key}.{name}: a mapping of {', '.join(fields)} is needed."
            continue
        for inner in entry:
            if inner not in fields:
                yield f"{file.locate((key, name, inner))}: unknown key '{key}.{name}.{inner}'.{suggest(inner, fields)}"
        if not _NAME.match(name):
            yield f"{place}: '{name}' cannot be a name; use small letters, digits, '_', '-' and '.'."


def _problems(study: Study, file: YamlFile) -> Iterator[str]:
    """Yield what the types alone do not show."""
    if not _NAME.match(study.name):
        yield f"{file.locate(('name',))}: '{study.name}' cannot be a name; use small letters, digits, '_', '-' and '.'."
    for key in ("arms", "profiles", "metrics", "seeds"):
        values = getattr(study, key)
        if not values:
            yield f"{file.locate((key,))}: {key}: at least one is needed."
        if len(set(map(str, values))) < len(values):
            yield f"{file.locate((key,))}: {key}: one of them is there twice."
    arms = [arm.name for arm in study.arms]
    if study.reference_arm not in arms:
        place = file.locate(("reference_arm",))
        yield f"{place}: reference_arm: no arm is called '{study.reference_arm}'.{suggest(study.reference_arm, arms)}"
    yield from _metric_problems(study.metrics, file, ("metrics",))
    for profile in study.profiles:
        yield from _metric_problems(profile.metrics or (), file, ("profiles", profile.name, "metrics"))
    yield from _section_problems(study, file)
    yield from _path_problems(study, file)


def _metric_problems(metrics: Iterable[str], file: YamlFile, place: KeyPath) -> Iterator[str]:
    for index, metric in enumerate(metrics):
        try:
            METRICS.check(metric)
        except RegistryError as error:
            yield f"{file.locate((*place, index))}: metrics: {error}"


def _section_problems(study: Study, file: YamlFile) -> Iterator[str]:
    for section, values in study.base.items():
        place = file.locate(("base", section))
        if section not in SECTIONS:
            yield f"{place}: unknown key 'base.{section}'.{suggest(section, SECTIONS)}"
        elif not isinstance(values, dict):
            yield f"{place}: base.{section}: a mapping of `key: value` is needed."
        else:
            for key in values:
                if problem := path_problem((section, key)):
                    yield f"{file.locate(('base', section, key))}: {problem}"
            yield from component_problems(section, values.get("name"), str(file.locate(("base", section, "name"))))


def component_problems(section: str, name: Any, place: str) -> Iterator[str]:
    """Yield a line if `section` is `tokenizer` or `data` and `name` is none of its components."""
    if section in _REGISTRIES and isinstance(name, str):
        try:
            _REGISTRIES[section].check(name)
        except RegistryError as error:
            yield f"{place}: {section}.name: {error}"


def _path_problems(study: Study, file: YamlFile) -> Iterator[str]:
    """Yield the paths of all arms, axes and profiles, also of profiles that nobody asked for, that do not exist."""
    for path, values in study.axes.items():
        if problem := _run_path_problem(tuple(path.split(".")), "an axis"):
            yield f"{file.locate(('axes', path))}: {problem}"
        if not values or len({json.dumps(value) for value in values}) < len(values):
            yield f"{file.locate(('axes', path))}: axes.{path}: a list of different values is needed."
    for arm in study.arms:
        for place, parts in set_paths(arm.set, ("arms", arm.name, "set")):
            if problem := _run_path_problem(parts, "an arm"):
                yield f"{file.locate(place)}: {problem}"
    for profile in study.profiles:
        for place, parts in set_paths(profile.set, ("profiles", profile.name, "set")):
            if problem := path_problem(parts):
                yield f"{file.locate(place)}: {problem}"


def set_paths(values: dict[str, Any], place: KeyPath) -> Iterator[tuple[KeyPath, tuple[str, ...]]]:
    """Yield (place in the file, config path) of each value of a `set`."""
    for key, value in values.items():
        if isinstance(value, dict) and "." not in key:
            yield from (((*place, key, inner), (key, inner)) for inner in value)
        else:
            yield (*place, key), tuple(key.split("."))


def _run_path_problem(path: tuple[str, ...], what: str) -> str | None:
    if path[0] == EVALUATE:
        return f"{what} cannot set '{'.'.join(path)}': all arms are measured alike; set it in base or in a profile."
    return path_problem(path)


def _top_keys() -> list[str]:
    return [name for name in Study.model_fields if name != "path"]


def _near_top(key: str) -> str:
    return suggest(key, _top_keys())


def _named(lines: Iterable[str], names: dict[str, list[str]]) -> list[str]:
    """Write `arms.rope.title` instead of `arms[0].title`."""

    def name(match: re.Match[str]) -> str:
        return f"{match[1]}.{names[match[1]][int(match[2])]}"

    return [re.sub(r"\b(arms|profiles)\[(\d+)\]", name, line) for line in lines]
