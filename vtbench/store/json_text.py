"""JSON that people can read and compare line by line, and that does not grow slow with its length."""

from __future__ import annotations

import json
from typing import Any

MANY = 100
"""A list or mapping with more items than this has one line for each."""


def indented(value: Any) -> str:
    """Return JSON, indented by one space a level, with one line for each item of whatever has `MANY` or more.

    Numbers that are not finite stay what they are. Short values look as `json.dumps(value, indent=1)` writes them; that
    writes long ones at a fiftieth of the speed.
    """
    return _indented(value, "\n")


def _indented(value: Any, line: str) -> str:
    if not isinstance(value, (dict, list, tuple)) or not value:
        return _text(value)
    inner = f"{line} "
    write = _text if len(value) > MANY else lambda item: _indented(item, inner)
    if isinstance(value, dict):
        items = [f"{_text(str(key))}: {write(item)}" for key, item in value.items()]
        return f"{{{inner}{f',{inner}'.join(items)}{line}}}"
    return f"[{inner}{f',{inner}'.join(map(write, value))}{line}]"


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
