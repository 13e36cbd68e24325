"""Protocol studies: reading the file, strictly.

A protocol study trains nothing: it degrades images in known ways and measures the same results under several protocols.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from pathlib import Path

from pydantic import ValidationError

from vtbench.errors import suggest
from vtbench.evaluate import METRICS
from vtbench.schema.preset import PRESETS
from vtbench.schema.protocol import Protocol
from vtbench.schema.protocol_study import Degradation, ProtocolArm, ProtocolStudy
from vtbench.study.entries import list_problems, parse, reference_problems, study_name_problems
from vtbench.study.load import component_problems, portable
from vtbench.study.problems import join
from vtbench.study.yaml_file import KeyPath, YamlFile, read_yaml

SETTABLE = ("crop", "resize_filter", "antialias", "value_range", "rounding", "preprocessing")
"""Fields of a protocol that an arm can change: what is done to images."""


def load_protocol_study(path: Path) -> ProtocolStudy:
    """Read and check a study file of `kind: protocols`; imports no torch.

    Raises:
        StudyError: something is wrong with it; a line for each problem, each beginning with `file:line`.
    """
    file = read_yaml(portable(path))
    study = parse(file, ProtocolStudy, {"arms": ProtocolArm, "degradations": Degradation})
    if lines := [*_list_problems(study, file), *_arm_problems(study, file)]:
        raise join(lines)
    return study


def _list_problems(study: ProtocolStudy, file: YamlFile) -> Iterator[str]:
    yield from study_name_problems(study.name, file)
    for key in ("arms", "degradations", "metrics"):
        yield from list_problems(key, getattr(study, key), str(file.locate((key,))))
    yield from reference_problems(study.reference_arm, [arm.name for arm in study.arms], file)
    yield from component_problems(("data",), study.data.name, str(file.locate(("data", "name"))))
    for index, name in enumerate(study.metrics):
        yield from _choice(file, ("metrics", index), "metrics", name, METRICS.names(), "metric")
    for each in study.degradations:
        if each.kind == "jpeg" and (each.strength > 95 or each.strength != int(each.strength)):
            place: KeyPath = ("degradations", each.name, "strength")
            yield f"{file.locate(place)}: {'.'.join(map(str, place))}: a JPEG quality is a whole number from 1 to 95."


def _arm_problems(study: ProtocolStudy, file: YamlFile) -> Iterator[str]:
    for arm in study.arms:
        place: KeyPath = ("arms", arm.name)
        for key in ("preset", "prepared_by"):
            if (name := getattr(arm, key)) is not None:
                yield from _choice(file, (*place, key), f"arms.{arm.name}.{key}", name, PRESETS, "protocol")
        for field in arm.set:
            yield from _choice(file, (*place, "set", field), f"arms.{arm.name}.set", field, SETTABLE, "field of images")
        if arm.reference_jpeg is not None and arm.reference_jpeg > 95:
            shown = f"arms.{arm.name}.reference_jpeg"
            yield f"{file.locate((*place, 'reference_jpeg'))}: {shown}: a JPEG quality is a whole number from 1 to 95."
        yield from _value_problems(arm, file, place)


def _value_problems(arm: ProtocolArm, file: YamlFile, place: KeyPath) -> Iterator[str]:
    """Yield values that no preset has: an image path that nobody wrote."""
    for field, value in arm.set.items():
        if field not in SETTABLE:
            continue
        known = {str(preset.of(over_features=over)[field]) for preset in PRESETS.values() for over in (False, True)}
        where = (*place, "set", field)
        yield from _choice(file, where, f"arms.{arm.name}.set.{field}", str(value), known, f"{field} of any protocol")
        try:
            Protocol(content_key="", num_samples=1).replace(**{field: value})
        except ValidationError as error:
            yield f"{file.locate(where)}: arms.{arm.name}.set.{field}: {error.errors()[0]['msg']}."


def _choice(file: YamlFile, place: KeyPath, shown: str, name: str, known: Collection[str], what: str) -> Iterator[str]:
    if name not in known:
        yield f"{file.locate(place)}: {shown}: '{name}' is no {what}.{suggest(name, known)}"
