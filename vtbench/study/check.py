"""Everything that can be known to fail before it has cost anything: data, weights, sizes, lengths, the device."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import torch

from vtbench.data import open_dataset
from vtbench.errors import ResolutionError, VtbenchError
from vtbench.evaluate import METRICS
from vtbench.models.losses import PERCEPTUAL
from vtbench.models.tokenizers.base import Size, Tokenizer
from vtbench.schema.base import parse_resolution
from vtbench.schema.run import GeneratorConfig, MixingConfig, RunConfig
from vtbench.schema.study import StudyPlan
from vtbench.store.remembered import Remembered
from vtbench.study.expand import merge_cell, study_file
from vtbench.study.expectations import place_problems
from vtbench.study.meta import build_on_meta, generator_on_meta, is_ours
from vtbench.study.problems import Locate, dotted, join
from vtbench.study.yaml_file import KeyPath
from vtbench.train.optim import misfit

Problem = tuple[KeyPath, str]
"""Path of the value at fault, and what is wrong."""


def check_plan(plan: StudyPlan, cache_dir: Path, set: Mapping[str, Any] | None = None, devices: bool = True) -> None:
    """Raise a `StudyError` with a line for each of `problems`, if there are any."""
    if lines := problems(plan, cache_dir, set, devices):
        raise join(lines)


def problems(plan: StudyPlan, cache_dir: Path, set: Mapping[str, Any] | None = None, devices: bool = True) -> list[str]:
    """Return what would make runs of a plan fail, a line each with the place in the study file; starts nothing.

    Args:
        plan: the plan.
        cache_dir: where data sets keep what they draw.
        set: the values from the command line that the plan was expanded with, for the places.
        devices: whether the runs go on this machine, so that it must have the devices.
    """
    file = study_file(plan.study)
    arms = {arm.name: arm for arm in plan.study.arms}
    lines: dict[str, None] = {}
    checks = _Checks(plan, cache_dir)
    for cell in plan.cells:
        if cell.seed == plan.seeds[0] and (found := checks.problems(plan.runs[cell.run_id].config)):
            merged = merge_cell(file, plan.study, plan.profile, arms[cell.arm], cell.coordinates, set or {})
            lines.update(dict.fromkeys(_line(problem, merged.locate) for problem in found))
    checks.end()
    for path, text in place_problems(plan):
        lines[f"{file.locate(path)}: {dotted(path)}: {text}"] = None
    place = ("metrics",) if plan.profile.metrics is None else ("profiles", plan.profile.name, "metrics")
    for index, name in enumerate(plan.metrics):
        try:
            METRICS.load(name).check()
        except VtbenchError as error:
            lines[f"{file.locate((*place, index))}: metrics: {error}"] = None
    for problem in _device_problems(plan) if devices else ():
        where = file.locate(("profiles", plan.profile.name, "resources", "device"))
        lines[f"{where}: profiles.{plan.profile.name}: {problem}"] = None
    return list(lines)


def _line(problem: Problem, locate: Locate) -> str:
    path, text = problem
    return f"{locate(path)}: {dotted(path)}: {text}"


class _Checks:
    """Checks runs of a plan; what runs have in common is looked at once."""

    def __init__(self, plan: StudyPlan, cache_dir: Path) -> None:
        self._plan, self._cache_dir = plan, cache_dir
        self._remembered = Remembered(cache_dir)
        self._known: dict[tuple[str, ...], list[Problem]] = {}

    def end(self) -> None:
        """Remember what is in order."""
        self._remembered.save()

    def problems(self, config: RunConfig) -> list[Problem]:
        """Return what is wrong with a run's data, losses and tokenizer."""
        training = config.mixing.model_dump_json(), str(config.train.num_tokens), config.train.optimizer.name
        generator = [] if config.generator is None else list(self._generator(config, config.generator))
        return [
            *generator,
            *_parallel_problems(config),
            *self._once(("data", config.data.model_dump_json()), self._data, config),
            *self._once(("losses", config.losses.model_dump_json()), _loss_problems, config),
            *self._once(("tokenizer", config.tokenizer.model_dump_json(), *training), self._tokenizer, config),
        ]

    def _once(
        self, key: tuple[str, ...], check: Callable[[RunConfig], Iterator[Problem]], config: RunConfig
    ) -> list[Problem]:
        if key not in self._known:
            self._known[key] = list(check(config))
        return self._known[key]

    def _data(self, config: RunConfig) -> Iterator[Problem]:
        try:
            for split in ("train", "val"):
                open_dataset(config.data, split, self._cache_dir)
        except VtbenchError as error:
            yield ("data",), str(error)

    def _tokenizer(self, config: RunConfig) -> Iterator[Problem]:
        part = config.model_dump_json(include={"tokenizer": True, "mixing": True, "train": {"num_tokens"}})
        key = f"fits {part} {config.train.optimizer.name} {self._plan.evaluate.model_dump_json()}"
        if self._remembered.get(key):
            return
        found = list(_tokenizer_problems(config, self._plan))
        if not found:
            self._remembered.put(key, True, keep=is_ours(config.tokenizer))
        yield from found

    def _generator(self, config: RunConfig, generator: GeneratorConfig) -> Iterator[Problem]:
        """Yield what is wrong with the classes that a generator knows, and with where it is measured."""
        known = generator_on_meta(generator.model).num_classes
        with suppress(VtbenchError):  # what is wrong with the data is said once, by `_data`
            names = open_dataset(config.data, "train", self._cache_dir).label_names
            if len(names) != known:
                why = f"the data has {len(names)} classes and the generator knows {known}"
                yield ("generator", "model", "num_classes"), f"{why}; write num_classes: {len(names)}"
        yield from _generation_problems(generator, config, self._plan)


def _generation_problems(generator: GeneratorConfig, config: RunConfig, plan: StudyPlan) -> Iterator[Problem]:
    """Yield sizes and lengths of samples that the models cannot make."""
    place: KeyPath = ("evaluate", "generation")
    generation = plan.evaluate.generation
    if generation is None:
        if any(METRICS.load(name).of_generations for name in plan.metrics if name in METRICS):
            yield place, "metrics measure samples of a generator, and nothing says which; write its resolutions"
        return
    model, longest = build_on_meta(config.tokenizer), generator_on_meta(generator.model).max_num_tokens
    for index, resolution in enumerate(generation.resolutions):
        try:
            model.check(parse_resolution(resolution), generator.tokens.num_tokens)
        except ResolutionError as error:
            yield (*place, "resolutions", index), str(error)
    for index, length in enumerate(generation.num_tokens):
        if length is not None and length > longest:
            yield (*place, "num_tokens", index), f"{length} tokens asked for; the generator makes {longest}"


def _parallel_problems(config: RunConfig) -> Iterator[Problem]:
    if config.mixing.per == "sample" and config.train.parallel == "fsdp":
        why = "with sizes drawn per sample, processes differ in how often they run the model, and fsdp needs them alike"
        yield ("mixing", "per"), f"{why}; write train.parallel: ddp, or mixing.per: batch"


def _loss_problems(config: RunConfig) -> Iterator[Problem]:
    for index, perceptual in enumerate(config.losses.perceptual):
        try:
            PERCEPTUAL.load(perceptual.name).check()
        except VtbenchError as error:
            yield ("losses", "perceptual", index, "name"), str(error)


def _tokenizer_problems(config: RunConfig, plan: StudyPlan) -> Iterator[Problem]:
    try:
        model = build_on_meta(config.tokenizer)
    except VtbenchError as error:
        yield ("tokenizer",), str(error)
        return
    if why := misfit(model, config.train.optimizer):
        yield ("train", "optimizer", "name"), why
    yield from _size_problems(model, config, plan)


def _size_problems(model: Tokenizer, config: RunConfig, plan: StudyPlan) -> Iterator[Problem]:
    """Yield sizes and lengths that the tokenizer cannot handle, each with one reason."""
    checks: list[tuple[KeyPath, Size, int | None]] = [(path, size, None) for path, size in _sizes(config.mixing)]
    first = checks[0][1]
    if lengths := config.train.num_tokens:
        checks += [(("train", "num_tokens", end), first, getattr(lengths, end)) for end in ("min", "max")]
    for index, resolution in enumerate(plan.evaluate.resolutions):
        checks.append((("evaluate", "resolutions", index), parse_resolution(resolution), None))
    for index, route in enumerate(plan.evaluate.routes):
        for end in ("input", "decode"):
            checks.append((("evaluate", "routes", index, end), parse_resolution(getattr(route, end)), None))
    checks += [(("evaluate", "num_tokens", index), first, n) for index, n in enumerate(plan.evaluate.num_tokens) if n]
    for path, size, num_tokens in checks:
        try:
            model.check(size, num_tokens)
        except ResolutionError as error:
            yield path, str(error)
    yield from _pair_problems(model, config, plan)
    if lengths and lengths.min > lengths.max:
        yield ("train", "num_tokens"), f"min {lengths.min} is above max {lengths.max}"
    elif lengths and not lengths.probabilities():
        yield ("train", "num_tokens"), f"no power of two lies between min {lengths.min} and max {lengths.max}"
    if lengths and lengths.per == "sample" and not model.lengths_per_sample:
        why = "this tokenizer gives all images of a batch one length"
        mend = "write `batch`, or a tokenizer.length_scheme that fills up what is missing (vibetoken: nested)"
        yield ("train", "num_tokens", "per"), f"{why}; {mend}"


def _pair_problems(model: Tokenizer, config: RunConfig, plan: StudyPlan) -> Iterator[Problem]:
    """Yield what encodes at one size and decodes at another, where a tokenizer's tokens belong to one size."""
    if model.max_num_tokens is not None:
        return
    why = "this tokenizer decodes at the size that it encoded"
    if config.mixing.targets is not None:
        yield ("mixing", "targets"), f"{why}; leave targets out"
    for index, route in enumerate(plan.evaluate.routes):
        if route.input != route.decode:
            mend = f"decode {route.decode} is not input {route.input}"
            yield ("evaluate", "routes", index, "decode"), f"{why}: {mend}"


def _sizes(mixing: MixingConfig) -> Iterator[tuple[KeyPath, Size]]:
    for field in ("inputs", "targets"):
        for name in getattr(mixing, field) or {}:
            yield ("mixing", field, name), parse_resolution(name)


def _device_problems(plan: StudyPlan) -> Iterator[str]:
    resources = plan.profile.resources
    try:
        device = torch.device(resources.device)
    except RuntimeError:
        yield f"'{resources.device}' is no device; write cpu or cuda."
        return
    if device.type != "cuda":
        return
    here = torch.cuda.device_count() if torch.cuda.is_available() else 0
    if here < max(resources.num_gpus, 1):
        others = [profile.name for profile in plan.study.profiles if profile.resources.device == "cpu"]
        instead = f" `--profile {others[0]}` works here." if others else ""
        wanted = max(resources.num_gpus, 1)
        yield f"needs {wanted} CUDA device{'s' if wanted > 1 else ''}; this machine has {here or 'none'}.{instead}"
