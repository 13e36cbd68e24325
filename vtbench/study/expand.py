"""Study + profile -> plan: arms x points x seeds, resolved, with equal runs made once.

A cell whose config has a generator points at the run that trains it; the run of its tokenizer is one of the plan's too,
before it, and has no cell unless an arm asks for it.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from vtbench.errors import StudyError, suggest
from vtbench.schema.run import RunConfig, RunSpec
from vtbench.schema.study import Arm, Cell, EvaluateConfig, Profile, Study, StudyPlan
from vtbench.study.extends import read_study
from vtbench.study.grid import Point, origin, points
from vtbench.study.identity import run_ids
from vtbench.study.layers import Layer, Merged, extend, merge
from vtbench.study.needs import Needed
from vtbench.study.paths import path_problem, set_paths
from vtbench.study.problems import join
from vtbench.study.resolve import resolve_evaluate, resolve_run, schema_problems
from vtbench.study.yaml_file import YamlFile


def expand(
    study: Study, profile: str = "tiny", seeds: int | None = None, set: Mapping[str, Any] | None = None
) -> StudyPlan:
    """Return what a study runs and measures at one profile; `facts` are left empty (see `vtbench.study.fairness`).

    Args:
        study: the study.
        profile: name of one of its profiles.
        seeds: use seeds 0 .. seeds - 1 instead of the profile's or the study's own.
        set: config path -> value, above all other layers (the command line's `--set`).

    Raises:
        StudyError: a line for each wrong value, path or name.
    """
    chosen = find_profile(study, profile)
    if seeds is not None and seeds < 1:
        raise StudyError(f"--seeds {seeds}: at least one seed is needed.")
    overrides = dict(set or {})
    _check_overrides(overrides)
    return _expand(study, chosen, tuple(range(seeds)) if seeds is not None else chosen.seeds or study.seeds, overrides)


def _expand(
    study: Study, chosen: Profile, seed_list: tuple[int, ...], overrides: dict[str, Any], above: tuple[str, ...] = ()
) -> StudyPlan:
    """Return the plan; `above` are the studies that need this one."""
    if study.name in above:
        raise StudyError(f"{study.path}: needs: {' -> '.join((*above, study.name))} goes round in a circle.")
    file = study_file(study)

    def other_plan(other: Study) -> StudyPlan:
        return _expand(other, find_profile(other, chosen.name), seed_list, {}, (*above, study.name))

    needed = Needed(study, file, other_plan)
    needs = {arm.name: needed.run_ids(arm, seed_list) for arm in study.arms}
    grid, shared = points(study), _shared(file, study, chosen)
    merged = {}
    for arm in study.arms:
        of_arm = extend(shared, _arm_layers(chosen, arm))
        for index, point in enumerate(grid[arm.name]):
            merged[arm.name, index] = extend(of_arm, _point_layers(study, arm, point, overrides))
    evaluate, configs = _resolve(merged)
    cells: list[Cell] = []
    runs: dict[str, RunSpec] = {}
    for (name, index), config in configs.items():
        for spec in _specs(config, seed_list, needs[name], runs):
            cells.append(Cell(arm=name, coordinates=grid[name][index], seed=spec.seed, run_id=spec.run_id))
    return StudyPlan(
        study=study,
        profile=chosen,
        seeds=seed_list,
        metrics=chosen.metrics or study.metrics,
        evaluate=evaluate,
        cells=tuple(cells),
        runs=runs,
        overrides=overrides,
        needs=needed.parts(),
    )


def _specs(
    config: RunConfig, seeds: Sequence[int], needs: Mapping[int, tuple[str, ...]], runs: dict[str, RunSpec]
) -> Iterator[RunSpec]:
    """Yield the run of each seed and enter it into `runs`, the tokenizer that a generator needs before it."""
    if config.generator is not None:
        tokenizers = _specs(config.of_tokenizer(), seeds, needs, runs)
        needs = {spec.seed: (spec.run_id, *spec.needs) for spec in tokenizers}
    for seed, run_id in _ids(config, seeds, needs):
        if run_id not in runs:
            runs[run_id] = RunSpec(run_id=run_id, config=config, seed=seed, needs=needs[seed])
        yield runs[run_id]


def _ids(config: RunConfig, seeds: Sequence[int], needs: Mapping[int, tuple[str, ...]]) -> Iterator[tuple[int, str]]:
    """Yield (seed, id) of each run of a config; those that need the same are hashed together."""
    for ids, group in itertools.groupby(seeds, key=needs.__getitem__):
        of_group = list(group)
        yield from zip(of_group, run_ids(config, of_group, ids), strict=True)


def find_profile(study: Study, name: str) -> Profile:
    """Return a study's profile; a `StudyError` with the nearest name if there is none."""
    for profile in study.profiles:
        if profile.name == name:
            return profile
    known = [profile.name for profile in study.profiles]
    raise StudyError(f"{study.path}: the study has no profile '{name}'.{suggest(name, known)}")


def merge_cell(
    file: YamlFile, study: Study, profile: Profile, arm: Arm, point: Point, overrides: Mapping[str, Any]
) -> Merged:
    """Return the config of an arm at a point of the axes, with the place of each value."""
    layers = [*_arm_layers(profile, arm), *_point_layers(study, arm, point, overrides)]
    return extend(_shared(file, study, profile), layers)


def _shared(file: YamlFile, study: Study, profile: Profile) -> Merged:
    """Return the layers that all cells have below."""
    return merge(file, [Layer(study.base, ("base",)), Layer(profile.set, ("profiles", profile.name, "set"))])


def _arm_layers(profile: Profile, arm: Arm) -> list[Layer]:
    of_profile = Layer(profile.arms.get(arm.name, {}), ("profiles", profile.name, "arms", arm.name))
    return [Layer(arm.set, ("arms", arm.name, "set")), of_profile]


def _point_layers(study: Study, arm: Arm, point: Point, overrides: Mapping[str, Any]) -> list[Layer]:
    places = {path: origin(study, arm.name, point, path) for path in point}
    return [Layer(point, (), places), Layer(overrides, None)]


def study_file(study: Study) -> YamlFile:
    """Return the study's file for its places; one without places if the file is gone."""
    path = Path(study.path)
    return read_study(path) if path.is_file() else YamlFile(path=study.path, data={}, keys={}, values={})


def _resolve(merged: dict[tuple[str, int], Merged]) -> tuple[EvaluateConfig, dict[tuple[str, int], RunConfig]]:
    """Check all arms before any is given up, the schema of all before the components of any."""
    lines = [line for one in merged.values() for line in schema_problems(one.config, one.locate)]
    first = next(iter(merged.values()))
    evaluate = None
    try:
        evaluate = resolve_evaluate(first.config, first.locate)
    except StudyError as error:
        lines += str(error).splitlines()
    if lines or evaluate is None:
        raise join(lines)
    configs = {}
    for key, one in merged.items():
        try:
            configs[key] = resolve_run(one.config, one.locate)
        except StudyError as error:
            lines += str(error).splitlines()
    if lines:
        raise join(lines)
    return evaluate, configs


def _check_overrides(overrides: dict[str, Any]) -> None:
    lines = []
    for _, path in set_paths(overrides, ()):
        if problem := path_problem(path):
            lines.append(f"--set {'.'.join(path)}: {problem}")
    if lines:
        raise join(lines)
