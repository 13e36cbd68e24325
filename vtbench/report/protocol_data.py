"""First half of a protocol study's report: its `data.json`, and the values in it by arm, degradation and metric."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

from vtbench.errors import ProtocolError, StoreError
from vtbench.report.gather import DATA_FILE, DATA_VERSION, layout
from vtbench.report.metrics import display
from vtbench.schema.base import Frozen
from vtbench.schema.protocol import differences, require_same
from vtbench.schema.protocol_study import ProtocolArm, ProtocolStudy
from vtbench.schema.record import Provenance
from vtbench.store.files import write_atomic
from vtbench.store.query import load_versioned


class MeasuredCell(Frozen):
    """One value: an arm's measurement of one set of reconstructions."""

    arm: str
    degradation: str
    metric: str
    value: float
    num_samples: int
    protocol: str
    interval: tuple[float, float] | None = None


class ProtocolReportData(Frozen):
    """All that a protocol study's report is made of."""

    kind: Literal["protocols"] = "protocols"
    schema_version: int = DATA_VERSION
    study: ProtocolStudy
    values: tuple[MeasuredCell, ...]
    protocols: dict[str, dict[str, Any]]
    """Fields of the values' protocols, by fingerprint."""
    left_out: dict[str, str]
    """Metrics of the study that could not be taken, and why."""
    provenance: Provenance


def save_protocols(data: ProtocolReportData, out_dir: Path) -> None:
    """Write a study's `data.json` into `out_dir`, replacing an earlier one."""
    write_atomic(out_dir / DATA_FILE, layout(data))


def load_protocols(out_dir: Path) -> ProtocolReportData:
    """Return what `save_protocols` wrote into `out_dir`.

    Raises:
        StoreError: there is no `data.json`, or it is broken or of a newer version.
    """
    path = out_dir / DATA_FILE
    if not path.exists():
        raise StoreError(f"{out_dir} holds no report: {DATA_FILE} is missing. `python -m vtbench run` makes one.")
    return load_versioned(path, ProtocolReportData)


@dataclass(frozen=True)
class ArmRow:
    """An arm and its place in the study."""

    arm: ProtocolArm
    arm_index: int


class Disagreement:
    """The values of a study.

    Raises:
        ProtocolError: one arm measured one metric in different ways.
    """

    def __init__(self, data: ProtocolReportData) -> None:
        self.data, self.study = data, data.study
        self._values = {(cell.arm, cell.degradation, cell.metric): cell for cell in data.values}
        for arm in self.study.arms:
            for metric in self.metrics:
                found = {each.title: self.cell(arm.name, each.name, metric) for each in self.study.degradations}
                prints = {title: cell.protocol for title, cell in found.items() if cell is not None}
                require_same(f"{display(metric).title}, {arm.title}", prints, data.protocols)

    @cached_property
    def metrics(self) -> list[str]:
        """The metrics that have values, in the study's order."""
        return [name for name in self.study.metrics if any(cell.metric == name for cell in self.data.values)]

    @property
    def canonical(self) -> ProtocolArm:
        """The arm that the others are compared with."""
        return self.study.arm(self.study.reference_arm)

    @property
    def presets(self) -> list[ProtocolArm]:
        """The arms that are presets as they are, on images that they are meant for."""
        return [arm for arm in self.study.arms if self._is_preset(arm) and not self.is_cut(arm)]

    @property
    def changes(self) -> list[ProtocolArm]:
        """The other arms."""
        return [arm for arm in self.study.arms if arm not in self.presets]

    def cell(self, arm: str, degradation: str, metric: str) -> MeasuredCell | None:
        """Return a value with its protocol, or None if it does not exist."""
        return self._values.get((arm, degradation, metric))

    def value(self, arm: str, degradation: str, metric: str) -> float | None:
        """Return a value, or None if it does not exist."""
        found = self.cell(arm, degradation, metric)
        return None if found is None else found.value

    def fingerprint(self, arm: ProtocolArm, metric: str) -> str | None:
        """Return how an arm measures a metric."""
        return next((c.protocol for c in self.data.values if (c.arm, c.metric) == (arm.name, metric)), None)

    def changed(self, arm: ProtocolArm) -> dict[str, tuple[Any, Any]]:
        """Return the fields in which an arm's protocols differ from the reference arm's, over all metrics."""
        found: dict[str, tuple[Any, Any]] = {}
        for metric in self.metrics:
            ours, theirs = self.fingerprint(self.canonical, metric), self.fingerprint(arm, metric)
            if ours is None or theirs is None:
                continue
            known: Mapping[str, Any] = self.data.protocols
            for name, pair in differences(known[ours], known[theirs]).items():
                same = found.setdefault(name, pair) == pair
                if not same:
                    found[f"{name} ({display(metric).title})"] = pair
        return found

    def refusal(self, metric: str) -> str | None:
        """Return what is said to who puts the reference arm's and the next arm's values together."""
        cells = [self.cell(arm.name, self.study.degradations[0].name, metric) for arm in self.study.arms]
        prints: dict[str, str] = {}
        for cell in cells:
            if cell is not None and cell.protocol not in prints.values():
                prints[self.study.arm(cell.arm).title] = cell.protocol
        try:
            require_same(display(metric).title, prints, self.data.protocols)
        except ProtocolError as error:
            return str(error)
        return None

    def _is_preset(self, arm: ProtocolArm) -> bool:
        return not arm.set and arm.reference == "same images" and arm.reference_jpeg is None

    def is_cut(self, arm: ProtocolArm) -> bool:
        """Return whether nothing brings the images to the size, so that the arm measures other pictures."""
        return arm.resolved().fields["resize_filter"] == "none" and arm.prepared_by is None
