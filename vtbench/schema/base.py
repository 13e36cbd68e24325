"""What all schema types share: frozen, strict, no unknown keys."""

from __future__ import annotations

import hashlib
import json
import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, ConfigDict

_RESOLUTION = re.compile(r"([1-9][0-9]*)x([1-9][0-9]*)")


class Frozen(BaseModel):
    """A frozen pydantic model that refuses unknown keys and silent conversions."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, protected_namespaces=())


def _check_resolution(text: str) -> str:
    if not _RESOLUTION.fullmatch(text):
        raise ValueError("a resolution is written HEIGHTxWIDTH in pixels, for example 256x256")
    return text


Resolution = Annotated[str, AfterValidator(_check_resolution)]
"""Height and width in pixels, written `"HxW"`."""


def parse_resolution(text: str) -> tuple[int, int]:
    """Return (height, width) of `"HxW"`, in pixels.

    Raises:
        ValueError: `text` is not of that form.
    """
    match = _RESOLUTION.fullmatch(text)
    if match is None:
        raise ValueError(f"'{text}' is not a resolution; write HEIGHTxWIDTH, for example 256x256")
    return int(match[1]), int(match[2])


def canonical_json(value: Any) -> str:
    """Return JSON with sorted keys and no spaces: equal values give equal text."""
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False, allow_nan=False)


def content_hash(value: Any, length: int = 12) -> str:
    """Return the first `length` hex digits of the SHA-256 of `canonical_json(value)`."""
    return hashlib.sha256(canonical_json(value).encode()).hexdigest()[:length]
