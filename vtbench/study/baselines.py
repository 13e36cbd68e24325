"""Published systems: `baselines/NAME.yaml`, read strictly and checked by `vtbench.schema.baseline`; needs no torch."""

from __future__ import annotations

import json
from pathlib import Path

from pydantic import BaseModel, ValidationError

import vtbench
from vtbench.errors import StoreError, suggest
from vtbench.schema.baseline import Baseline, ModelCard, PublishedFigure
from vtbench.study.yaml_file import KeyPath, YamlFile, read_yaml

BASELINES = Path(vtbench.__file__).resolve().parents[1] / "baselines"
"""The checkout's folder of published systems."""
CLAIMS = "claims"
"""Stem of the file in that folder that lists claims about the systems; it is no system itself."""


def load_baseline(name: str, folder: Path = BASELINES) -> Baseline:
    """Return the published system `<folder>/<name>.yaml`.

    Raises:
        StoreError: there is no such file (the nearest name is given), or a key or value in it is wrong (file:line).
        StudyError: the file is not YAML.
    """
    return read_baseline(name, folder)[1]


def read_baseline(name: str, folder: Path = BASELINES) -> tuple[YamlFile, Baseline]:
    """Return a published system and its file, which knows the line of each value; raises as `load_baseline`."""
    path = folder / f"{name}.yaml"
    if not path.exists():
        raise StoreError(
            f"{path} does not exist: no published system is called '{name}'.{suggest(name, baseline_names(folder))}"
        )
    file = read_yaml(path)
    try:
        baseline = Baseline.model_validate_json(json.dumps(file.data))
    except ValidationError as error:
        first = min(error.errors(), key=lambda detail: detail["type"] != "extra_forbidden")
        place = ".".join(map(str, first["loc"]))
        near = suggest(str(first["loc"][-1]), _fields(first["loc"])) if first["type"] == "extra_forbidden" else ""
        raise StoreError(f"{file.locate(tuple(first['loc']))}: {place}: {first['msg']}.{near}") from error
    if baseline.name != name:
        raise StoreError(f"{file.locate(('name',))}: name is '{baseline.name}'; it must be the file's, '{name}'.")
    return file, baseline


def baseline_names(folder: Path = BASELINES) -> list[str]:
    """Return the names of all published systems, sorted; reads no file."""
    return sorted(path.stem for path in folder.glob("*.yaml") if path.stem != CLAIMS)


def _fields(loc: KeyPath) -> list[str]:
    """Return the keys that may stand where an error is."""
    inner: dict[str | int, type[BaseModel]] = {"figures": PublishedFigure, "models": ModelCard}
    model = inner.get(loc[0], Baseline) if len(loc) > 2 else Baseline
    return [*model.model_fields]
