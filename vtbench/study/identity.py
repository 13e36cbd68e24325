"""The id of a run: a hash of all that decides its result, and of nothing else.

The hash is over the fully resolved config, so that a changed default makes another run; fields declared
`schema.run.irrelevant` (worker counts, logging cadence, where the data lies) are left out, in the schema's models and
in the components' own. The study's name is not in it: studies share runs.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from functools import lru_cache
from typing import Any

from pydantic import BaseModel

from vtbench.schema.base import canonical_json
from vtbench.schema.run import IDENTITY_VERSION, Component, GeneratorConfig, RunConfig
from vtbench.study.paths import GENERATOR_MODEL, SECTIONS
from vtbench.study.resolve import REGISTRIES, component_config

ID_LENGTH = 12
"""Hexadecimal digits of a run's id."""


def run_id(config: RunConfig, seed: int, needs: Sequence[str] = ()) -> str:
    """Return the first 12 hex digits of the SHA-256 that stands for a run.

    Args:
        config: fully resolved.
        seed: the run's seed.
        needs: ids of the runs that this one starts from.
    """
    return run_ids(config, [seed], needs)[0]


def run_ids(config: RunConfig, seeds: Sequence[int], needs: Sequence[str] = ()) -> list[str]:
    """Return the ids of the runs of one config, one for each seed; arguments as of `run_id`."""
    texts = section_texts(config)
    # The `canonical_json` of {config, identity_version, needs, seed}, put together from texts that cells share.
    inner = ",".join(f"{canonical_json(name)}:{texts[name]}" for name in sorted(texts))
    head = f'{{"config":{{{inner}}},"identity_version":{IDENTITY_VERSION},"needs":{canonical_json(list(needs))},"seed":'
    begun = hashlib.sha256(head.encode())
    ids = []
    for seed in seeds:
        digest = begun.copy()
        digest.update(f"{seed}}}".encode())
        ids.append(digest.hexdigest()[:ID_LENGTH])
    return ids


def section_texts(config: RunConfig) -> dict[str, str]:
    """Return what of each section an id depends on, as canonical JSON; sections that are not there are left out."""
    present = {name: getattr(config, name) for name in RunConfig.model_fields}
    return {name: _section_text(name, value.model_dump_json()) for name, value in present.items() if value is not None}


def relevant(value: Any) -> Any:
    """Return a value as plain JSON data without the fields that cannot change a result."""
    if isinstance(value, BaseModel):
        plain = json.loads(value.model_dump_json())
        fields = type(value).model_fields
        counting = (name for name in fields if _counts(fields[name], getattr(value, name)))
        return {name: _field(getattr(value, name), plain[name]) for name in counting}
    return _field(value, value)


def _field(value: Any, plain: Any) -> Any:
    """Return `value` as JSON data; `plain` is what pydantic makes of it, for types that JSON does not have."""
    if isinstance(value, BaseModel):
        return relevant(value)
    if isinstance(value, Mapping):
        return {key: _field(inner, plain[key]) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [_field(inner, other) for inner, other in zip(value, plain, strict=True)]
    return plain


def _counts(field: Any, value: Any) -> bool:
    extra = field.json_schema_extra
    mark = extra.get("identity") if isinstance(extra, dict) else None
    return mark is not False and not (mark == "unless default" and value == field.default)


@lru_cache(100_000)
def _section_text(name: str, dumped: str) -> str:
    """Return what of a section counts, as canonical JSON; many cells of a study share each section."""
    return canonical_json(_section(name, SECTIONS[name].model_validate_json(dumped)))


def _section(name: str, value: BaseModel) -> Any:
    if isinstance(value, Component):
        return _component((name,), value)
    found = relevant(value)
    if isinstance(value, GeneratorConfig):
        found["model"] = _component(GENERATOR_MODEL, value.model)
    return found


def _component(path: tuple[str, ...], value: Component) -> Any:
    return {"name": value.name, **relevant(component_config(REGISTRIES[path], value))}
