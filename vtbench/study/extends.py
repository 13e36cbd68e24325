"""Study files that start from another one: `extends: NAME` takes over its `base` and `profiles`.

The file's own values are laid over the parent's, value by value: in `base` and in a profile's `set` by config path, in
`resources` by field, everything else of a profile whole. `metrics` and `seeds` are the parent's unless the file has its
own; question, arms, axes and all else are the file's alone. A component's options belong to that component: where the
file names another one, the parent's options for it are dropped. Each value keeps its place, so that messages name the
file that it stands in.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from vtbench.errors import StudyError, suggest
from vtbench.study.paths import COMPONENTS, set_paths
from vtbench.study.yaml_file import KeyPath, Position, YamlFile, read_yaml

EXTENDS = "extends"
_OF_ARMS = ("arms", "expectations", "remarks")
"""Keys of a profile that speak of its study's own arms."""
_WHOLE = ("metrics", "seeds")
"""Keys of the parent that count where the file does not have them."""
_BY_FIELD = ("resources",)
"""Keys of a profile whose fields are laid over the parent's one by one."""


def read_study(path: Path) -> YamlFile:
    """Return a study file's content over that of the files it extends.

    Raises:
        StudyError: a file cannot be read, the file extends one that does not exist, or itself; begins with `file:line`.
    """
    return _read(path, ())


def _read(path: Path, below: tuple[Path, ...]) -> YamlFile:
    file = read_yaml(path)
    name = file.data.get(EXTENDS)
    if name is None:
        return file
    place = file.locate((EXTENDS,))
    if not isinstance(name, str):
        raise StudyError(f"{place}: extends: the name of a study beside this one is needed, not {name!r}.")
    parent, trail = path.parent / f"{name}.yaml", (*below, path)
    if parent in trail:
        circle = " -> ".join(each.stem for each in (*trail[trail.index(parent) :], parent))
        raise StudyError(f"{place}: extends: {circle} goes round in a circle.")
    if not parent.is_file():
        known = [found.stem for found in path.parent.glob("*.yaml") if found != path]
        raise StudyError(f"{place}: extends: there is no {parent}.{suggest(name, known)}")
    above = _read(parent, trail)
    if "kind" in above.data:
        raise StudyError(f"{place}: extends: {parent} trains nothing (kind: {above.data['kind']}); name one that does.")
    return _Overlay(above, file).file()


class _Overlay:
    """A file laid over its parent; notes what of the parent no longer counts."""

    def __init__(self, parent: YamlFile, own: YamlFile) -> None:
        self._parent, self._own = parent, own
        self._base = parent.data.get("base"), own.data.get("base")
        self._gone: set[KeyPath] = set()

    def file(self) -> YamlFile:
        """Return the file that both make, under the own file's path."""
        data = dict(self._own.data)
        for key in _WHOLE:
            if key in self._parent.data and key not in data:
                data[key] = self._parent.data[key]
        taken = tuple(key for key in _WHOLE if key not in self._own.data)
        for key, merged in (("base", self._sections()), ("profiles", self._profiles())):
            if merged is not None:
                data[key] = merged
        keys = {**self._kept(self._parent.keys, taken), **self._own.keys}
        values = {**self._kept(self._parent.values, taken), **self._own.values}
        return YamlFile(path=self._own.path, data=data, keys=keys, values=values)

    def _sections(self) -> Any:
        above, own = self._base
        if not isinstance(above, dict) or not isinstance(own, dict):
            return own if "base" in self._own.data else above
        merged = {**above, **own}
        for section in above.keys() & own.keys():
            changed = section in COMPONENTS and _name(own, section) not in (None, _name(above, section))
            merged[section] = self._laid(above[section], own[section], ("base", section), whole=changed)
        return merged

    def _profiles(self) -> Any:
        above, own = (file.data.get("profiles") for file in (self._parent, self._own))
        if not isinstance(above, dict) or not isinstance(own, dict | None):
            return own if "profiles" in self._own.data else above
        names = dict.fromkeys([*above, *(own or {})])
        return {name: self._profile(name, above.get(name), (own or {}).get(name, {})) for name in names}

    def _profile(self, name: str, above: Any, own: Any) -> Any:
        if not isinstance(above, dict) or not isinstance(own, dict):
            return above if own == {} and above is not None else own
        place: KeyPath = ("profiles", name)
        # this study does not have the parent's arms
        self._gone |= {(*place, key) for key in _OF_ARMS if key in above}
        above = {key: value for key, value in above.items() if key not in _OF_ARMS}
        merged = {**above, **own}
        for key in above.keys() & own.keys():
            if key in _BY_FIELD:
                merged[key] = self._laid(above[key], own[key], (*place, key))
            elif key != "set":
                self._gone.add((*place, key))
        if "set" in merged:
            merged["set"] = self._set(above.get("set", {}), own.get("set", {}), (*place, "set"))
        return merged

    def _laid(self, above: Any, own: Any, place: KeyPath, whole: bool = False) -> Any:
        """Return a mapping over another one, field by field; `whole`: nothing of the other one counts."""
        if whole or not isinstance(above, dict) or not isinstance(own, dict):
            self._gone.add(place)
            return own
        self._gone |= {(*place, key) for key in above.keys() & own.keys()}
        return {**above, **own}

    def _set(self, above: Any, own: Any, place: KeyPath) -> Any:
        """Return a profile's `set` over another one: what the own one sets is taken out of the other."""
        if not isinstance(above, dict) or not isinstance(own, dict):
            return own or above
        set_here = [path for _, path in set_paths(own, ())]
        set_here += [(section,) for section in COMPONENTS if self._is_another(section, above, own)]
        kept: dict[str, Any] = {}
        for where, path in set_paths(above, ()):
            if any(path[: len(known)] == known for known in set_here):
                self._gone.add((*place, *where))
            elif len(where) == 1:
                kept[str(where[0])] = above[where[0]]
            else:
                kept.setdefault(str(where[0]), {})[where[1]] = above[where[0]][where[1]]
        for key, value in own.items():
            both = isinstance(value, dict) and isinstance(kept.get(key), dict)
            kept[key] = {**kept[key], **value} if both else value
        return kept

    def _is_another(self, section: str, above: Mapping[str, Any], own: Mapping[str, Any]) -> bool:
        """Return whether the parent's options of a section are for another component than the own one."""
        base_above, base_own = (_name(base, section) for base in self._base)
        before = _name(above, section) or base_above
        after = _name(own, section) or _name(above, section) or base_own or base_above
        return bool(before != after)

    def _kept(self, places: Mapping[KeyPath, Position], taken: tuple[str, ...]) -> dict[KeyPath, Position]:
        """Return those of the parent's places that still count."""
        return {
            path: position
            for path, position in places.items()
            if path
            and path[0] in ("base", "profiles", *taken)
            and not any(path[:length] in self._gone for length in range(1, len(path) + 1))
        }


def _name(values: Any, section: str) -> Any:
    """Return the component that a base or a `set` names for a section; None if it names none."""
    if not isinstance(values, Mapping):
        return None
    inner = values.get(section)
    return values.get(f"{section}.name") or (inner.get("name") if isinstance(inner, Mapping) else None)
