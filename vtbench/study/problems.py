"""What pydantic finds wrong, in the words of a study file: `place: path: what is needed`."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Iterable
from typing import Any

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from vtbench.errors import StudyError, suggest
from vtbench.study.paths import field_names
from vtbench.study.yaml_file import KeyPath

Locate = Callable[[KeyPath], str]
"""Path of a value -> where its author wrote it, for example `studies/pos_embed.yaml:12`."""

_NEEDS = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "int_parsing": "a whole number",
    "float_type": "a number",
    "float_parsing": "a number",
    "finite_number": "a finite number",
    "string_type": "text",
    "bool_type": "true or false",
    "dict_type": "a mapping of `key: value`",
    "model_type": "a mapping of `key: value`",
    "model_attributes_type": "a mapping of `key: value`",
    "tuple_type": "a list",
    "list_type": "a list",
    "greater_than": "a number above {gt}",
    "greater_than_equal": "a number of at least {ge}",
    "less_than": "a number below {lt}",
    "less_than_equal": "a number of at most {le}",
    "too_long": "at most {max_length} items",
    "too_short": "at least {min_length} items",
    "literal_error": "one of {expected}",
}


def describe(
    error: ValidationError, model: type[BaseModel], data: Any, locate: Locate, prefix: tuple[str, ...] = ()
) -> list[str]:
    """Return one line for each wrong value.

    Args:
        error: what validating `data` as `model` raised.
        model: the model.
        data: the plain data that was validated.
        locate: gives the place of a path in the study file.
        prefix: where `data` sits in the config, for example `("tokenizer",)`.
    """
    found: dict[KeyPath, list[ErrorDetails]] = defaultdict(list)
    for detail in error.errors():
        found[_clean(detail, data)].append(detail)
    lines = []
    for loc, details in found.items():
        # of a value that may be a word or a mapping, only what is wrong inside the mapping helps its author
        if any(len(other) > len(loc) and other[: len(loc)] == loc for other in found) and loc:
            continue
        places = [(*prefix, *loc, *more) for more in _mentioned(details[0], loc, model, data)]
        shown = ", ".join(dict.fromkeys(map(locate, places)))
        lines.append(f"{shown}: {_phrase(details, loc, prefix, model)}")
    return lines


def join(lines: Iterable[str]) -> StudyError:
    """Return one error for several lines; a line that came up more than once is said once."""
    return StudyError("\n".join(dict.fromkeys(lines)))


def dotted(path: Iterable[str | int]) -> str:
    """Return `a.b[0]` for `("a", "b", 0)`."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else part
    return text


def _phrase(details: list[ErrorDetails], loc: KeyPath, prefix: tuple[str, ...], model: type[BaseModel]) -> str:
    path = dotted((*prefix, *loc))
    detail = details[0]
    match detail["type"]:
        case "extra_forbidden":
            known = [dotted((*prefix, *loc[:-1], name)) for name in field_names(model, loc[:-1])]
            return f"unknown key '{path}'.{suggest(path, known)}"
        case "missing":
            return f"'{path}' is missing."
        case "value_error":
            inside = f"{path}: " if path else ""
            return f"{inside}{detail['ctx']['error']}."
    needs = [_NEEDS[d["type"]].format(**d.get("ctx", {})) for d in details if d["type"] in _NEEDS]
    if not needs:
        return f"{path}: {detail['msg']}."
    value = detail["input"]
    choices = [word for d in details for word in re.findall(r"'([^']*)'", d.get("ctx", {}).get("expected", ""))]
    near = suggest(value, choices) if isinstance(value, str) and choices else ""
    hint = near if near.startswith(" Did you mean") else ""
    return f"{path}: {' or '.join(dict.fromkeys(needs))} is needed, not {_shown(value)}.{hint}"


def _mentioned(detail: ErrorDetails, loc: KeyPath, model: type[BaseModel], data: Any) -> list[KeyPath]:
    """Return which values below `loc` an error is about: of values that do not go together, those that it names."""
    if detail["type"] != "value_error":
        return [()]
    for part in loc:
        data = data[part]
    if not isinstance(data, dict):
        return [()]
    words = set(re.findall(r"\w+", str(detail["ctx"]["error"])))
    return [(name,) for name in field_names(model, loc) if name in words and name in data] or [()]


def _clean(detail: ErrorDetails, data: Any) -> KeyPath:
    """Return the error's place without pydantic's tags for alternatives and keys."""
    kept: list[str | int] = []
    value = data
    for index, part in enumerate(detail["loc"]):
        last = index == len(detail["loc"]) - 1
        if isinstance(value, dict) and part in value:
            value = value[str(part)]
        elif isinstance(value, list) and isinstance(part, int) and part < len(value):
            value = value[part]
        elif not (last and detail["type"] == "missing"):
            continue
        kept.append(part)
    return tuple(kept)


def _shown(value: Any) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return str(value).lower()
        case str():
            return f"'{value}'"
        case dict():
            return "a mapping"
        case list() | tuple():
            return "a list" if len(value) > 6 else str(list(value))
    return str(value)
