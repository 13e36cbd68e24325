"""What all kinds of study files share: strict parsing, and mappings of named entries such as `arms`.

A file writes `arms: {rope: {...}}`; the schema has a list whose items know their names. Messages speak of the file's
form (`arms.rope.title`), with its lines.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from vtbench.errors import suggest
from vtbench.study.problems import describe, join
from vtbench.study.yaml_file import KeyPath, YamlFile

Model = TypeVar("Model", bound=BaseModel)
Named = Mapping[str, type[BaseModel]]
"""Top-level key -> type of its entries."""

_NAME = re.compile(r"^[a-z0-9][a-z0-9_.-]*$")
_NAME_RULE = "use small letters, digits, '_', '-' and '.'."
PATH = "path"
"""The field of a study that its file does not write: the file itself."""


def parse(file: YamlFile, model: type[Model], named: Named) -> Model:
    """Return a file's content as `model`, whose field `path` becomes the file's name.

    Args:
        file: what was read.
        model: the kind of study.
        named: its keys that hold named entries.

    Raises:
        StudyError: a line for each problem, each beginning with `file:line`.
    """
    data: dict[str, Any] = dict(file.data)
    known = [name for name in model.model_fields if name != PATH]
    names: dict[str, list[str]] = {}
    lines = [f"{file.locate((key,))}: unknown key '{key}'.{suggest(key, known)}" for key in data if key not in known]
    for key, entry_model in named.items():
        if isinstance(entries := data.get(key), dict):
            names[key] = list(entries)
            data[key] = [{**entry, "name": name} for name, entry in entries.items() if isinstance(entry, dict)]
            lines += list(_entry_problems(file, key, entries, entry_model))
        elif key in data:
            lines.append(f"{file.locate((key,))}: {key}: a mapping of `name: ...` is needed.")
    if lines:
        raise join(lines)
    data[PATH] = file.path

    def locate(path: KeyPath) -> str:
        if len(path) > 1 and path[0] in names and isinstance(path[1], int):
            path = (path[0], names[str(path[0])][path[1]], *path[2:])
        return str(file.locate(path))

    try:
        return model.model_validate_json(json.dumps(data))
    except ValidationError as error:
        raise join(_with_names(describe(error, model, data, locate), names)) from error


def study_name_problems(name: str, file: YamlFile) -> Iterator[str]:
    """Yield a line if a study cannot be called `name`: the name becomes a folder's."""
    if not _NAME.match(name):
        yield f"{file.locate(('name',))}: '{name}' cannot be a name; {_NAME_RULE}"


def reference_problems(reference_arm: str, arms: Iterable[str], file: YamlFile) -> Iterator[str]:
    """Yield a line if no arm is called `reference_arm`."""
    if reference_arm not in (known := list(arms)):
        place = file.locate(("reference_arm",))
        yield f"{place}: reference_arm: no arm is called '{reference_arm}'.{suggest(reference_arm, known)}"


def list_problems(key: str, values: Iterable[Any], place: str) -> Iterator[str]:
    """Yield a line if a list is empty, and one if it repeats a value."""
    texts = [str(value) for value in values]
    if not texts:
        yield f"{place}: {key}: at least one is needed."
    if len(set(texts)) < len(texts):
        yield f"{place}: {key}: one of them is there twice."


def _entry_problems(file: YamlFile, key: str, entries: dict[str, Any], model: type[BaseModel]) -> Iterator[str]:
    fields = [name for name in model.model_fields if name != "name"]
    for name, entry in entries.items():
        place = file.locate((key, name))
        if not isinstance(entry, dict):
            yield f"{place}: {key}.{name}: a mapping of {', '.join(fields)} is needed."
            continue
        for inner in entry:
            if inner not in fields:
                yield f"{file.locate((key, name, inner))}: unknown key '{key}.{name}.{inner}'.{suggest(inner, fields)}"
        if not _NAME.match(name):
            yield f"{place}: '{name}' cannot be a name; {_NAME_RULE}"


def _with_names(lines: Iterable[str], names: dict[str, list[str]]) -> list[str]:
    """Write `arms.rope.title` instead of `arms[0].title`."""
    keys = "|".join(map(re.escape, names))

    def name(match: re.Match[str]) -> str:
        return f"{match[1]}.{names[match[1]][int(match[2])]}"

    return [re.sub(rf"\b({keys})\[(\d+)\]", name, line) for line in lines] if names else list(lines)
