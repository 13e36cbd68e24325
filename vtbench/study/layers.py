"""One config out of several layers, and where each of its values was written.

Later layers win: base < profile < arm < the profile's values of the arm < axis < command line. A layer names values by
path (`tokenizer.pos_embed: rope`) or gives a section a mapping, of which each field is replaced whole. A component's
options belong to that component: a layer that gives `tokenizer`, `data` or `generator.model` another `name` starts with
no options.
"""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from vtbench.errors import StudyError
from vtbench.study.paths import COMPONENTS, GENERATOR_MODEL
from vtbench.study.problems import Locate
from vtbench.study.yaml_file import KeyPath, YamlFile

ConfigPath = tuple[str, ...]


@dataclass(frozen=True)
class Layer:
    """Values to set.

    Attributes:
        values: path or section -> value. place: where the values stand in the study file, for example `("arms",
        "rope", "set")`; None: on the command line. file_keys: keys of the file under `place` by path, where they are
        not the paths themselves (an axis' value).
    """

    values: Mapping[str, Any]
    place: KeyPath | None
    file_keys: Mapping[str, KeyPath] = field(default_factory=dict)

    def assignments(self) -> list[tuple[ConfigPath, Any, KeyPath | None]]:
        """Return (config path, value, place in the file) of each value, shorter paths and names of components first."""
        found: list[tuple[ConfigPath, Any, KeyPath | None]] = []
        for key, value in self.values.items():
            place = None if self.place is None else (*self.place, *self.file_keys.get(key, (key,)))
            path = tuple(key.split("."))
            if len(path) == 1 and isinstance(value, Mapping):
                for name, inner in value.items():
                    found.append(((key, name), inner, None if place is None else (*place, name)))
            else:
                found.append((path, value, place))
        return sorted(found, key=lambda item: (len(item[0]), item[0][-1] != "name"))


@dataclass(frozen=True)
class Merged:
    """A config, unchecked, and the place of each of its values."""

    file: YamlFile
    config: dict[str, Any]
    origins: dict[ConfigPath, KeyPath | None]

    def locate(self, path: KeyPath) -> str:
        """Return where the value at a config path was written: `file:line` or `--set path`."""
        for length in range(len(path), 0, -1):
            key = tuple(map(str, path[:length]))
            if key in self.origins:
                origin = self.origins[key]
                return f"--set {'.'.join(key)}" if origin is None else str(self.file.locate((*origin, *path[length:])))
        return str(self.file.locate(("base",)))


def merge(file: YamlFile, layers: Sequence[Layer]) -> Merged:
    """Merge layers, the first being the weakest.

    Raises:
        StudyError: one layer sets a value twice, or sets something inside a value that has no keys.
    """
    return extend(Merged(file=file, config={}, origins={}), layers)


def extend(below: Merged, layers: Sequence[Layer]) -> Merged:
    """Return a config with more layers above it; `below` stays as it is, and what is not set is shared with it.

    Raises:
        StudyError: as `merge`.
    """
    file = below.file
    merged = Merged(file=file, config=dict(below.config), origins=dict(below.origins))
    for layer in layers:
        seen: set[ConfigPath] = set()
        for path, value, place in layer.assignments():
            where = file_place(file, place, path)
            if path in seen:
                raise StudyError(f"{where}: '{'.'.join(path)}' is set twice here.")
            seen.add(path)
            _assign(merged, path, value, place, where)
    return merged


def file_place(file: YamlFile, place: KeyPath | None, path: ConfigPath) -> str:
    """Return `file:line` of a place in the study file, or `--set path` for the command line."""
    return f"--set {'.'.join(path)}" if place is None else str(file.locate(place))


def locator(file: YamlFile, place: KeyPath = ()) -> Locate:
    """Return a function that gives the line of a path under `place` in the study file."""
    return lambda path: str(file.locate((*place, *path)))


def _assign(merged: Merged, path: ConfigPath, value: Any, place: KeyPath | None, where: str) -> None:
    config, origins = merged.config, merged.origins
    if path[-1] == "name" and (path[0] in COMPONENTS or path[:-1] == GENERATOR_MODEL) and len(path) > 1:
        _rename(merged, path[:-1], value, place)
    node = config
    for depth, part in enumerate(path[:-1], start=1):
        child = node.get(part)
        if child is None:
            child = {}
            origins[path[:depth]] = place
        if not isinstance(child, dict):
            raise StudyError(f"{where}: '{'.'.join(path[:depth])}' is {child!r}, which has no keys; set it whole.")
        node[part] = node = dict(child)  # a copy, as the layers below may be shared
    _forget(origins, path)
    node[path[-1]] = copy.deepcopy(value)
    origins[path] = place


def _rename(merged: Merged, component: ConfigPath, name: Any, place: KeyPath | None) -> None:
    """Drop the options of a component if it gets another name."""
    node: Any = merged.config
    for part in component:
        node = node.get(part) if isinstance(node, dict) else None
    if isinstance(node, dict) and node.get("name", name) != name:
        _forget(merged.origins, component)
        _assign(merged, component, {}, place, "")


def _forget(origins: dict[ConfigPath, KeyPath | None], path: ConfigPath) -> None:
    for known in [known for known in origins if known[: len(path)] == path]:
        del origins[known]
