"""YAML with places: every key and value knows its line, and nothing is read in a way its author did not mean.

PyYAML reads YAML 1.1 and keeps the last of repeated keys. Here a repeated key is an error, `1e-4` is a number, only
`true` and `false` are booleans (so a key `on` or a country `no` stays text), dates and `12:30` stay text, and merge
keys (`<<`), tags of one's own and keys that are not text are refused. Scalars follow the YAML 1.2 core schema,
without infinities and NaN, which no config needs. Nothing but plain values is ever made, as with `yaml.safe_load`.
"""

from __future__ import annotations

import math
import re
from collections.abc import Hashable
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from vtbench.errors import StudyError

KeyPath = tuple[str | int, ...]
"""Keys and list indices from the top of a file to a value."""

_STR, _NULL, _BOOL, _INT, _FLOAT = (f"tag:yaml.org,2002:{kind}" for kind in ("str", "null", "bool", "int", "float"))
_RESOLVERS = {
    _NULL: (re.compile(r"^(?:~|null|Null|NULL|)$"), ["~", "n", "N", ""]),
    _BOOL: (re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF")),
    _INT: (re.compile(r"^[-+]?[0-9]+$"), list("-+0123456789")),
    _FLOAT: (
        re.compile(r"^[-+]?(?:\.[0-9]+|[0-9]+\.[0-9]*|[0-9]+(?=[eE]))(?:[eE][-+]?[0-9]+)?$"),
        list("-+.0123456789"),
    ),
}


class Yaml12Loader(yaml.SafeLoader):
    """A `SafeLoader` whose plain scalars follow YAML 1.2; used to compose nodes, not to construct values."""

    yaml_implicit_resolvers = {}  # noqa: RUF012  # PyYAML declares it so


for _tag, (_pattern, _first) in _RESOLVERS.items():
    Yaml12Loader.add_implicit_resolver(_tag, _pattern, _first)


@dataclass(frozen=True)
class Position:
    """A place in a file; `line` and `column` count from 1."""

    file: str
    line: int
    column: int

    def __str__(self) -> str:
        return f"{self.file}:{self.line}"


@dataclass(frozen=True)
class YamlFile:
    """A file's content and where each part of it stands.

    Attributes:
        path: the file as the user named it.
        data: the content, a mapping.
        keys: place of each key (for an item of a list: of the item), by its path.
        values: place of each value, by its path.
    """

    path: str
    data: dict[str, Any]
    keys: dict[KeyPath, Position]
    values: dict[KeyPath, Position]

    def locate(self, path: KeyPath) -> Position:
        """Return the place of the key at `path`, or of the nearest one above it that the file holds."""
        for length in range(len(path), 0, -1):
            if path[:length] in self.keys:
                return self.keys[path[:length]]
        return Position(self.path, 1, 1)


def read_yaml(path: Path) -> YamlFile:
    """Read a YAML file whose top is a mapping.

    Raises:
        StudyError: the file is missing, empty, not UTF-8, not YAML, or holds something that this reader refuses; the
            message begins with `file:line`.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError as error:
        raise StudyError(f"{path}: there is no such file.") from error
    except IsADirectoryError as error:
        raise StudyError(f"{path}: this is a folder; name a YAML file.") from error
    except UnicodeDecodeError as error:
        raise StudyError(f"{path}:1: not UTF-8 text ({error.reason} at byte {error.start}).") from error
    except OSError as error:
        raise StudyError(f"{path}: cannot be read ({error.strerror}).") from error
    return parse_yaml(text, str(path))


def parse_yaml(text: str, name: str) -> YamlFile:
    """Parse YAML text whose top is a mapping; `name` stands for the file in messages. Raises as `read_yaml`."""
    file = _parsed(text, name)
    return replace(file, data=deepcopy(file.data), keys=dict(file.keys), values=dict(file.values))


@lru_cache(maxsize=256)
def _parsed(text: str, name: str) -> YamlFile:
    """Return what `parse_yaml` does; the same text once, as planning all studies asks for the files ten times over."""
    node = _compose(text, name)
    if node is None:
        raise StudyError(f"{name}:1: the file is empty.")
    builder = _Builder(name)
    data = builder.build(node, ())
    if not isinstance(data, dict):
        raise StudyError(f"{builder.place(node)}: the top of the file must be a mapping of `key: value`.")
    return YamlFile(path=name, data=data, keys=builder.keys, values=builder.values)


def parse_value(text: str, name: str) -> Any:
    """Return one value written in YAML, for example `4`, `1e-4`, `[4, 8]` or `{min: 1, max: 8}`."""
    node = _compose(text, name)
    return None if node is None else _Builder(name).build(node, ())


def _compose(text: str, name: str) -> yaml.Node | None:
    """Return the tree of a text, or None if it is empty."""
    try:
        return yaml.compose(text, Loader=Yaml12Loader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        line = mark.line + 1 if mark is not None else 1
        problem = error.problem or "not YAML"
        if "'\\t'" in problem:
            problem = "a tab; YAML is indented with spaces"
        context = f" ({error.context})" if error.context else ""
        raise StudyError(f"{name}:{line}: {problem}{context}.") from error
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        raise StudyError(f"{name}:{line}: a character that YAML does not allow ({error.reason}).") from error


class _Builder:
    """Turns a tree of nodes into plain values and notes where they stand."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.keys: dict[KeyPath, Position] = {}
        self.values: dict[KeyPath, Position] = {}
        self._open: set[Hashable] = set()

    def place(self, node: yaml.Node) -> Position:
        return Position(self.name, node.start_mark.line + 1, node.start_mark.column + 1)

    def build(self, node: yaml.Node, path: KeyPath) -> Any:
        self.values[path] = self.place(node)
        if isinstance(node, yaml.ScalarNode):
            return self._scalar(node)
        if id(node) in self._open:
            raise StudyError(f"{self.place(node)}: this value contains itself.")
        self._open.add(id(node))
        try:
            return self._mapping(node, path) if isinstance(node, yaml.MappingNode) else self._sequence(node, path)
        finally:
            self._open.remove(id(node))

    def _mapping(self, node: yaml.MappingNode, path: KeyPath) -> dict[str, Any]:
        self._refuse_tag(node, "tag:yaml.org,2002:map")
        result: dict[str, Any] = {}
        for key_node, value_node in node.value:
            key = self._key(key_node)
            key_path = (*path, key)
            if key in result:
                raise StudyError(
                    f"{self.place(key_node)}: key '{key}' is repeated; line {self.keys[key_path].line} has it too."
                )
            self.keys[key_path] = self.place(key_node)
            result[key] = self.build(value_node, key_path)
        return result

    def _key(self, node: yaml.Node) -> str:
        if not isinstance(node, yaml.ScalarNode) or node.tag != _STR:
            shown = f" '{node.value}'" if isinstance(node, yaml.ScalarNode) else ""
            raise StudyError(f"{self.place(node)}: the key{shown} must be text; put it in quotes.")
        return str(node.value)

    def _sequence(self, node: yaml.Node, path: KeyPath) -> list[Any]:
        self._refuse_tag(node, "tag:yaml.org,2002:seq")
        items = []
        for index, item in enumerate(node.value):
            self.keys[*path, index] = self.place(item)
            items.append(self.build(item, (*path, index)))
        return items

    def _scalar(self, node: yaml.ScalarNode) -> str | int | float | bool | None:
        text = str(node.value)
        if node.tag == _STR:
            return text
        if node.tag not in _RESOLVERS or not _RESOLVERS[node.tag][0].match(text):
            self._refuse_tag(node, _STR)
        if node.tag == _NULL:
            return None
        if node.tag == _BOOL:
            return text.lower() == "true"
        number = float(text)
        if math.isinf(number):
            raise StudyError(f"{self.place(node)}: {text} is too large a number.")
        return int(text) if node.tag == _INT else number

    def _refuse_tag(self, node: yaml.Node, expected: str) -> None:
        if node.tag != expected:
            shown = node.tag.replace("tag:yaml.org,2002:", "!!")
            raise StudyError(f"{self.place(node)}: the tag {shown} is not allowed here; write a plain value.")
