"""Cost studies: reading the file, strictly, and expanding it to what is to be counted.

A cost study asks what models cost and trains nothing. Its arms are cards of `baselines/` (or registered components),
counted at every resolution of its axes under several conventions, beside the figures that somebody published.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from functools import cache
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from vtbench.errors import StudyError, suggest
from vtbench.schema.baseline import ModelCard
from vtbench.schema.convention import CONVENTIONS
from vtbench.schema.cost_study import CostArm, CostCell, CostPlan, CostStudy
from vtbench.study.baselines import BASELINES
from vtbench.study.cards import REGISTRIES, load_cards, workload
from vtbench.study.entries import list_problems, parse, reference_problems, study_name_problems
from vtbench.study.load import portable
from vtbench.study.problems import describe, join
from vtbench.study.resolve import config_class
from vtbench.study.yaml_file import KeyPath, YamlFile, read_yaml

FULL = "full"
"""The convention that no cost study leaves out."""

COMPONENTS = {
    "tokenizer": ("total", "encode", "quantize", "decode", "training_step"),
    "generator": ("total", "forward", "prefill", "step", "head", "sampling", "sampling_cfg", "training_step"),
}
"""Kind of model -> what a study can show of it."""


def load_cost_study(path: Path, folder: Path = BASELINES) -> CostStudy:
    """Read and check a study file of `kind: cost`; imports no torch.

    Args:
        path: the file.
        folder: where the cards are.

    Raises:
        StudyError: something is wrong with it; a line for each problem, each beginning with `file:line`.
    """
    file = read_yaml(portable(path))
    study = parse(file, CostStudy, {"arms": CostArm})
    if lines := [*_list_problems(study, file), *_arm_problems(study, file, folder), *_published_problems(study, file)]:
        raise join(lines)
    return study


def expand_cost(study: CostStudy, folder: Path = BASELINES) -> CostPlan:
    """Return the cells of a cost study, arm by arm, and the arms' cards with their options checked.

    Raises:
        StudyError: an option of an arm is unknown or wrong; a line for each.
    """
    path = Path(study.path)
    file = read_yaml(path) if path.is_file() else YamlFile(path=study.path, data={}, keys={}, values={})
    known = _known_cards(folder)
    cards: dict[str, ModelCard] = {}
    lines: list[str] = []
    for arm in study.arms:
        try:
            cards[arm.name] = _with_options(arm, known[arm.model], file)
        except StudyError as error:
            lines += str(error).splitlines()
    if lines:
        raise join(lines)
    cells = tuple(cell for arm in study.arms for cell in _cells(study, arm, cards[arm.name]))
    return CostPlan(study=study, cards=cards, cells=cells)


@cache
def _known_cards(folder: Path) -> Mapping[str, ModelCard]:
    """Return all cards; cached, as reading them takes longer than all else that is done with a study."""
    return load_cards(folder)


def _with_options(arm: CostArm, card: ModelCard, file: YamlFile) -> ModelCard:
    """Return a card with the arm's options in its config, which the model's own `Config` accepts."""
    config = {**card.config, **arm.set}
    options = {name: value for name, value in config.items() if name != "name"}
    model = config_class(REGISTRIES[card.kind], config["name"])
    prefix = ("arms", arm.name, "set")

    def locate(path: KeyPath) -> str:
        own = len(path) > len(prefix) and path[len(prefix)] in arm.set
        return str(file.locate(path if own else ("arms", arm.name, "model")))

    try:
        model.model_validate_json(json.dumps(options))
    except ValidationError as error:
        raise join(describe(error, model, options, locate, prefix)) from error
    return card.model_copy(update={"config": config})


def _cells(study: CostStudy, arm: CostArm, card: ModelCard) -> Iterator[CostCell]:
    fixed = arm.num_tokens is not None or card.grid is not None
    for length in [None] if fixed else study.axes.num_tokens or [None]:
        for resolution in study.axes.resolution:
            work = workload(card, resolution, arm.num_tokens or length, arm.patch)
            yield CostCell(arm=arm.name, length=length, workload=work)


def _list_problems(study: CostStudy, file: YamlFile) -> Iterator[str]:
    yield from study_name_problems(study.name, file)
    for key in ("arms", "components", "conventions"):
        yield from list_problems(key, getattr(study, key), str(file.locate((key,))))
    place = str(file.locate(("axes", "resolution")))
    yield from list_problems("axes.resolution", study.axes.resolution, place)
    if study.axes.num_tokens:
        yield from list_problems("axes.num_tokens", study.axes.num_tokens, str(file.locate(("axes", "num_tokens"))))
    yield from reference_problems(study.reference_arm, [arm.name for arm in study.arms], file)
    for index, name in enumerate(study.conventions):
        yield from _choice(file, ("conventions", index), "conventions", name, CONVENTIONS, "convention")
    if FULL not in study.conventions:
        yield f"{file.locate(('conventions',))}: conventions: '{FULL}' must be one of them, or nothing honest is shown."


def _arm_problems(study: CostStudy, file: YamlFile, folder: Path) -> Iterator[str]:
    cards = _known_cards(folder)
    kinds = set()
    for arm in study.arms:
        place: KeyPath = ("arms", arm.name)
        if arm.model not in cards:
            yield (
                f"{file.locate((*place, 'model'))}: arms.{arm.name}.model: no model is called '{arm.model}'."
                + suggest(arm.model, cards)
            )
            continue
        kinds.add(cards[arm.model].kind)
        if "name" in arm.set:
            where = file.locate((*place, "set", "name"))
            yield f"{where}: arms.{arm.name}.set.name: an arm sets options; name another card under 'model'."
        if arm.patch is not None and cards[arm.model].kind == "generator":
            yield f"{file.locate((*place, 'patch'))}: arms.{arm.name}.patch: a generator has no patch."
    known = dict.fromkeys(name for kind in kinds for name in COMPONENTS[kind])
    for index, name in enumerate(study.components if kinds else ()):
        yield from _choice(
            file, ("components", index), "components", name, known, f"component of a {' or '.join(kinds)}"
        )


def _published_problems(study: CostStudy, file: YamlFile) -> Iterator[str]:
    choices: dict[str, tuple[Any, str]] = {
        "arm": ([arm.name for arm in study.arms], "arm"),
        "resolution": (study.axes.resolution, "resolution of axes.resolution"),
        "component": (study.components, "component of the study"),
        "convention": (study.conventions, "convention of the study"),
    }
    for index, figure in enumerate(study.published):
        for key, (known, what) in choices.items():
            yield from _choice(
                file, ("published", index, key), f"published[{index}].{key}", getattr(figure, key), known, what
            )


def _choice(file: YamlFile, place: KeyPath, shown: str, name: str, known: Any, what: str) -> Iterator[str]:
    if name not in known:
        yield f"{file.locate(place)}: {shown}: '{name}' is no {what}.{suggest(name, known)}"
