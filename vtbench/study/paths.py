"""Config paths such as `train.optimizer.learning_rate`: which there are, and which is nearest to a wrong one.

What lies inside `tokenizer`, `data` and `generator.model` is known to the component alone, so that only the schema's
own sections are walked here; no torch is needed.
"""

from __future__ import annotations

import types
from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from vtbench.errors import suggest
from vtbench.schema.run import Component, GeneratorConfig, LossConfig, MixingConfig, TrainConfig
from vtbench.schema.study import EvaluateConfig

EVALUATE = "evaluate"
GENERATOR = "generator"
COMPONENTS = ("tokenizer", "data")
"""Sections that are components."""
GENERATOR_MODEL = (GENERATOR, "model")
"""Path of the component inside a section."""
SECTIONS: dict[str, type[BaseModel]] = {
    "tokenizer": Component,
    "data": Component,
    "mixing": MixingConfig,
    "losses": LossConfig,
    "train": TrainConfig,
    GENERATOR: GeneratorConfig,
    EVALUATE: EvaluateConfig,
}
"""The sections of `base`; all but `evaluate` make the run, `evaluate` says what is measured."""


def path_problem(path: Sequence[str]) -> str | None:
    """Return what is wrong with a config path that an arm, axis, profile or `--set` names, or None."""
    dotted = ".".join(path)
    if path[0] not in SECTIONS:
        return f"unknown key '{dotted}'.{suggest(dotted, [*SECTIONS, *schema_paths()])}"
    if len(path) == 1:
        return f"'{dotted}' is a section; give it a mapping of its fields, or name a field: `{dotted}.FIELD`."
    if path[0] in COMPONENTS:
        return None
    annotation: Any = SECTIONS[path[0]]
    for depth, part in enumerate(path[1:], start=1):
        model = model_of(annotation)
        if model is Component:
            return None
        if model is None:
            if get_origin(_bare(annotation)) is dict:
                return None
            return f"'{'.'.join(path[:depth])}' has no keys of its own; set it whole."
        if part not in model.model_fields:
            return f"unknown key '{dotted}'.{suggest(dotted, schema_paths())}"
        annotation = model.model_fields[part].annotation
    return None


def run_path_problem(path: Sequence[str], what: str) -> str | None:
    """Return what is wrong with a config path that `what` sets for a run, or None; measuring is no run's matter."""
    if path[0] == EVALUATE:
        return f"{what} cannot set '{'.'.join(path)}': all arms are measured alike; set it in base or in a profile."
    return path_problem(path)


def set_paths(
    values: dict[str, Any], place: tuple[str | int, ...]
) -> Iterator[tuple[tuple[str | int, ...], tuple[str, ...]]]:
    """Yield (place in the file, config path) of each value of a `set`."""
    for key, value in values.items():
        if isinstance(value, dict) and "." not in key:
            yield from (((*place, key, inner), (key, inner)) for inner in value)
        else:
            yield (*place, key), tuple(key.split("."))


def schema_paths() -> list[str]:
    """Return every path into the schema's own sections, dotted."""
    return [path for name, model in SECTIONS.items() if name not in COMPONENTS for path in _paths(name, model)]


def field_names(model: type[BaseModel], loc: Sequence[str | int]) -> list[str]:
    """Return the names of the fields at `loc` inside a model; empty if no model is there."""
    annotation: Any = model
    for part in loc:
        inner = model_of(annotation)
        if inner is not None:
            field = inner.model_fields.get(str(part))
            annotation = field.annotation if field is not None else None
        else:
            arguments = [a for a in get_args(_bare(annotation)) if a is not Ellipsis]
            annotation = arguments[-1] if arguments else None
    inner = model_of(annotation)
    return list(inner.model_fields) if inner is not None else []


def model_of(annotation: Any) -> type[BaseModel] | None:
    """Return the pydantic model in an annotation such as `Model | None`, or None."""
    for part in _alternatives(annotation):
        if isinstance(part, type) and issubclass(part, BaseModel):
            return part
    return None


def _paths(prefix: str, model: type[BaseModel]) -> Iterator[str]:
    for name, field in model.model_fields.items():
        yield f"{prefix}.{name}"
        inner = model_of(field.annotation)
        if inner is not None:
            yield from _paths(f"{prefix}.{name}", inner)


def _alternatives(annotation: Any) -> list[Any]:
    if get_origin(annotation) is Annotated:
        return _alternatives(get_args(annotation)[0])
    if get_origin(annotation) in (Union, types.UnionType):
        return [found for part in get_args(annotation) for found in _alternatives(part)]
    return [annotation]


def _bare(annotation: Any) -> Any:
    """Return the annotation without `| None` and `Annotated`."""
    return next((part for part in _alternatives(annotation) if part is not type(None)), annotation)
