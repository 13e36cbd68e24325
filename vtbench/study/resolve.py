"""Raw config -> checked config with every default filled in.

What the schema knows is checked first, without torch; only then are the components' modules imported and their options
checked against their own `Config`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, cast

from pydantic import BaseModel, ValidationError

from vtbench.data import DATASETS
from vtbench.errors import RegistryError, suggest
from vtbench.models.generators import GENERATORS
from vtbench.models.losses import PERCEPTUAL
from vtbench.models.tokenizers import TOKENIZERS
from vtbench.registry import Registry
from vtbench.schema.base import canonical_json
from vtbench.schema.run import Component, GeneratorConfig, RunConfig
from vtbench.schema.study import EvaluateConfig
from vtbench.study.load import component_problems
from vtbench.study.paths import EVALUATE, GENERATOR, GENERATOR_MODEL, SECTIONS
from vtbench.study.problems import Locate, describe, dotted, join

REGISTRIES: dict[tuple[str, ...], Registry] = {
    ("tokenizer",): TOKENIZERS,
    ("data",): DATASETS,
    GENERATOR_MODEL: GENERATORS,
}
"""Path of a component in a config -> where its name is looked up."""

_NEEDED = {name for name, field in RunConfig.model_fields.items() if field.is_required()}
_KNOWN = len(SECTIONS) * 20_000
"""How many checked sections are kept: the cells of a study repeat theirs, and most differ in one only."""


def schema_problems(config: Mapping[str, Any], locate: Locate) -> list[str]:
    """Return what is wrong with a config as far as the schema knows, a line each; imports no torch."""
    if _passes(config):
        return []
    lines = [f"{locate((key,))}: unknown key '{key}'.{suggest(key, SECTIONS)}" for key in config if key not in SECTIONS]
    run = {key: value for key, value in config.items() if key != EVALUATE}
    try:
        RunConfig.model_validate_json(json.dumps({key: value for key, value in run.items() if key in SECTIONS}))
    except ValidationError as error:
        lines += describe(error, RunConfig, run, locate)
    for path in REGISTRIES:
        lines += component_problems(path, _name(config, path), locate((*path, "name")))
    return lines + _perceptual_problems(config, locate)


def resolve_run(config: Mapping[str, Any], locate: Locate) -> RunConfig:
    """Return a config with the components' defaults filled in.

    Args:
        config: the sections of a `RunConfig` as plain values, in which `schema_problems` finds nothing; `evaluate` is
            ignored.
        locate: gives the place of a path for messages.

    Raises:
        StudyError: a line for each wrong value.
    """
    lines: list[str] = []
    filled: dict[str, BaseModel] = {}
    for section in (name for name, value in config.items() if name != EVALUATE and value is not None):
        try:
            filled[section] = _filled(section, json.dumps(config[section]))
        except ValidationError as error:
            component = Component.model_validate(config[section])
            kind = config_class(REGISTRIES[(section,)], component.name)
            lines += describe(error, kind, component.options, locate, (section,))
    if lines:
        raise join(lines)
    if isinstance(generator := filled.get(GENERATOR), GeneratorConfig):
        filled[GENERATOR] = _with_generator(generator, filled, locate)
    return RunConfig.model_validate(filled)


def resolve_evaluate(config: Mapping[str, Any], locate: Locate) -> EvaluateConfig:
    """Return the `evaluate` section, checked; raises a `StudyError` as `resolve_run`."""
    values = config.get(EVALUATE, {})
    try:
        return EvaluateConfig.model_validate_json(json.dumps(values))
    except ValidationError as error:
        raise join(describe(error, EvaluateConfig, values, locate, (EVALUATE,))) from error


def component_config(registry: Registry, component: Component) -> BaseModel:
    """Return a component's options as its own `Config`; JSON is what turns lists into tuples and keeps types strict."""
    return config_class(registry, component.name).model_validate_json(json.dumps(component.options))


def config_class(registry: Registry, name: str) -> type[BaseModel]:
    """Return the class of a component's options; imports the component."""
    return cast(type[BaseModel], registry.load(name).Config)


def _with_generator(generator: GeneratorConfig, sections: Mapping[str, BaseModel], locate: Locate) -> GeneratorConfig:
    """Return a generator's section with all options of its model, those included that follow from other sections."""
    # it imports torch, which runs without a generator need not wait for
    from vtbench.study.generator import with_derived

    kind = config_class(GENERATORS, generator.model.name)
    tokenizer, data = (cast(Component, sections[name]) for name in ("tokenizer", "data"))
    options, mistakes = with_derived(generator.model, kind, tokenizer, generator.tokens, data)
    if mistakes:
        raise join(f"{locate(path)}: {dotted(path)}: {text}." for path, text in mistakes)
    try:
        checked = json.loads(kind.model_validate_json(json.dumps(options)).model_dump_json())
    except ValidationError as error:
        raise join(describe(error, kind, options, locate, GENERATOR_MODEL)) from error
    model = Component.model_validate_json(json.dumps({"name": generator.model.name, **checked}))
    return generator.model_copy(update={"model": model})


def _name(config: Mapping[str, Any], path: tuple[str, ...]) -> Any:
    """Return the name of the component at a path; None if none is there."""
    node: Any = config
    for part in (*path, "name"):
        node = node.get(part) if isinstance(node, Mapping) else None
    return node


def _perceptual_problems(config: Mapping[str, Any], locate: Locate) -> list[str]:
    losses = config.get("losses")
    rows = losses.get("perceptual") if isinstance(losses, Mapping) else None
    lines = []
    for index, row in enumerate(rows if isinstance(rows, list) else ()):
        name = row.get("name") if isinstance(row, Mapping) else None
        try:
            if isinstance(name, str):
                PERCEPTUAL.check(name)
        except RegistryError as error:
            lines.append(f"{locate(('losses', 'perceptual', index, 'name'))}: losses.perceptual[{index}].name: {error}")
    return lines


def _passes(config: Mapping[str, Any]) -> bool:
    """Return whether nothing is wrong with a config as far as the schema knows; what is, the slower way says."""
    sections = config.keys() - {EVALUATE}
    if not _NEEDED <= sections <= SECTIONS.keys():
        return False
    return all(_section_passes(name, json.dumps(config[name])) for name in sections)


@lru_cache(_KNOWN)
def _section_passes(section: str, text: str) -> bool:
    try:
        SECTIONS[section].model_validate_json(text)
    except ValidationError:
        return False
    config = {section: json.loads(text)}
    wrong = [line for path in REGISTRIES for line in component_problems(path, _name(config, path), "")]
    return not [*wrong, *_perceptual_problems(config, str)]


@lru_cache(_KNOWN)
def _filled(section: str, text: str) -> BaseModel:
    """Return a section that passes, of a component with its defaults; a `ValidationError` is about its options."""
    checked = SECTIONS[section].model_validate_json(text)
    if not isinstance(checked, Component):
        return checked
    kind = config_class(REGISTRIES[(section,)], checked.name)
    options = json.loads(kind.model_validate_json(canonical_json(checked.options)).model_dump_json())
    return Component.model_validate_json(json.dumps({"name": checked.name, **options}))
