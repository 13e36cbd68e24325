"""Reading a study file, strictly.

The file is the registration of a question: what is asked, what is expected, which arms answer it, and at which scales
(profiles) it can be asked. Everything that needs no torch is checked here, so that a typo costs milliseconds;
components' own options are checked when the study is expanded.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from pydantic import BaseModel

from vtbench.data import DATASETS
from vtbench.errors import RegistryError, StudyError, suggest
from vtbench.evaluate import METRICS
from vtbench.models.generators import GENERATORS
from vtbench.models.tokenizers import TOKENIZERS
from vtbench.schema.study import Arm, Profile, Study
from vtbench.study.entries import list_problems, parse, reference_problems, study_name_problems
from vtbench.study.expectations import arm_problems
from vtbench.study.extends import read_study
from vtbench.study.grid import axis_problems
from vtbench.study.paths import GENERATOR, GENERATOR_MODEL, SECTIONS, path_problem, run_path_problem, set_paths
from vtbench.study.problems import join
from vtbench.study.search import SEARCH, search_problems, with_implicit_arm
from vtbench.study.yaml_file import KeyPath, YamlFile, read_yaml

STUDIES = Path("studies")
TRAINING, COST, PROTOCOLS = "training", "cost", "protocols"
"""Kinds of studies: those that train their arms, that count what models cost, that measure one thing in many ways."""

_NAMED: dict[str, type[BaseModel]] = {"arms": Arm, "profiles": Profile}
_REGISTRIES = {("tokenizer",): TOKENIZERS, ("data",): DATASETS, GENERATOR_MODEL: GENERATORS}


def find_study(name: str, folder: Path = STUDIES) -> Path:
    """Return the file that `name` stands for: a path, or the bare name of a file in `folder`.

    Raises:
        StudyError: neither exists; the message has the nearest name.
    """
    if (path := Path(name)).is_file():
        return path
    if (path := folder / f"{name}.yaml").is_file():
        return path
    known = [found.stem for found in folder.glob("*.yaml")]
    raise StudyError(f"No study is called '{name}', and there is no such file.{suggest(Path(name).stem, known)}")


def study_kind(path: Path) -> str:
    """Return which kind of study a file holds: what it says under `kind`; without it `search` or `training`.

    Raises:
        StudyError: there is no such kind, or the file cannot be read.
    """
    file = read_yaml(path)
    if "kind" not in file.data:
        return SEARCH if SEARCH in file.data else TRAINING
    kind = file.data["kind"]
    if kind not in (COST, PROTOCOLS):
        near = suggest(str(kind), [COST, PROTOCOLS])
        raise StudyError(f"{file.locate(('kind',))}: kind: '{kind}' is no kind of study.{near} Without it arms train.")
    return str(kind)


def load_study(path: Path) -> Study:
    """Read and check a study file whose arms train.

    Raises:
        StudyError: something is wrong with it; a line for each problem, each beginning with `file:line`.
    """
    file = read_study(portable(path))
    if file.data.get("kind") == COST:
        raise StudyError(
            f"{file.locate(('kind',))}: this study counts costs (kind: cost); it has no runs, profiles or seeds."
        )
    if file.data.get("kind") == PROTOCOLS:
        raise StudyError(
            f"{file.locate(('kind',))}: this study compares protocols (kind: protocols); it has no runs or profiles."
        )
    file = with_implicit_arm(file)
    study = parse(file, Study, _NAMED)
    if lines := [*_problems(study, file), *search_problems(study, file)]:
        raise join(lines)
    return study


def portable(path: Path) -> Path:
    """Return a path without this machine's folders where it can be: plans and reports keep it."""
    inside = path.is_absolute() and path.is_relative_to(Path.cwd())
    return path.relative_to(Path.cwd()) if inside else path


def _problems(study: Study, file: YamlFile) -> Iterator[str]:
    """Yield what the types alone do not show."""
    yield from study_name_problems(study.name, file)
    for key in ("arms", "profiles", "metrics", "seeds"):
        yield from list_problems(key, getattr(study, key), str(file.locate((key,))))
    yield from reference_problems(study.reference_arm, [arm.name for arm in study.arms], file)
    yield from _metric_problems(study.metrics, file, ("metrics",))
    for profile in study.profiles:
        yield from _metric_problems(profile.metrics or (), file, ("profiles", profile.name, "metrics"))
    yield from arm_problems(study, file)
    yield from _section_problems(study, file)
    yield from _path_problems(study, file)


def _metric_problems(metrics: Iterable[str], file: YamlFile, place: KeyPath) -> Iterator[str]:
    for index, metric in enumerate(metrics):
        try:
            METRICS.check(metric)
        except RegistryError as error:
            yield f"{file.locate((*place, index))}: metrics: {error}"


def _section_problems(study: Study, file: YamlFile) -> Iterator[str]:
    for section, values in study.base.items():
        place = file.locate(("base", section))
        if section not in SECTIONS:
            yield f"{place}: unknown key 'base.{section}'.{suggest(section, SECTIONS)}"
        elif not isinstance(values, dict):
            yield f"{place}: base.{section}: a mapping of `key: value` is needed."
        else:
            for key in values:
                if problem := path_problem((section, key)):
                    yield f"{file.locate(('base', section, key))}: {problem}"
            path = GENERATOR_MODEL if section == GENERATOR else (section,)
            component = values.get("model") if section == GENERATOR else values
            name = component.get("name") if isinstance(component, dict) else None
            yield from component_problems(path, name, str(file.locate(("base", *path, "name"))))


def component_problems(path: tuple[str, ...], name: Any, place: str) -> Iterator[str]:
    """Yield a line if a component belongs at `path` and `name` is none of those that do."""
    if path in _REGISTRIES and isinstance(name, str):
        try:
            _REGISTRIES[path].check(name)
        except RegistryError as error:
            yield f"{place}: {'.'.join(path)}.name: {error}"


def _path_problems(study: Study, file: YamlFile) -> Iterator[str]:
    """Yield the paths of all arms, axes and profiles, also of profiles that nobody asked for, that do not exist."""
    yield from axis_problems(study, file)
    for arm in study.arms:
        for place, parts in set_paths(arm.set, ("arms", arm.name, "set")):
            if problem := run_path_problem(parts, "an arm"):
                yield f"{file.locate(place)}: {problem}"
    for profile in study.profiles:
        for place, parts in set_paths(profile.set, ("profiles", profile.name, "set")):
            if problem := path_problem(parts):
                yield f"{file.locate(place)}: {problem}"
        yield from _profile_arm_problems(study, profile, file)


def _profile_arm_problems(study: Study, profile: Profile, file: YamlFile) -> Iterator[str]:
    known = [arm.name for arm in study.arms]
    for name, values in profile.arms.items():
        where: KeyPath = ("profiles", profile.name, "arms", name)
        if name not in known:
            yield f"{file.locate(where)}: no arm is called '{name}'.{suggest(name, known)}"
        for place, parts in set_paths(values, where):
            if problem := run_path_problem(parts, "an arm"):
                yield f"{file.locate(place)}: {problem}"
