"""The record of a run that is being made, as the run's stages see it.

The process that writes the run sees it through a `RunWriter`; other processes of the same run through a
`RunFollower`, which keeps what they tell it to itself.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

from vtbench.schema.record import MetricValue, RunRecord, StageRecord


class OpenRecord(ABC):
    """A record and the training log beside it, to be read and changed."""

    def __init__(self, record: RunRecord | None = None) -> None:
        self._record = record

    @abstractmethod
    def log(self, step: int, values: dict[str, float]) -> None:
        """Append one line to the training log."""

    @abstractmethod
    def sync_log(self) -> None:
        """Wait until the training log is on disk."""

    @abstractmethod
    def truncate_log(self, step: int) -> None:
        """Drop all lines after `step`."""

    @abstractmethod
    def progress(self, stage: str, step: int, total: int, rate: float | None = None) -> None:
        """Tell others how far `stage` is."""

    @abstractmethod
    def _write(self, record: RunRecord) -> None:
        """Make `record` the record."""

    @property
    def record(self) -> RunRecord:
        """The record as it stands on disk.

        Raises:
            RuntimeError: the writer has not been entered.
        """
        if self._record is None:
            raise RuntimeError("a RunWriter is used in a `with` block")
        return self._record

    def update(self, **fields: Any) -> None:
        """Replace fields of the record; a writer does so on disk, at once."""
        self._write(RunRecord.model_validate({**dict(self.record), **fields}))

    def set_stage(self, stage: StageRecord) -> None:
        """Put `stage` in the place of the stage of that name, or at the end."""
        stages = {old.name: old for old in self.record.stages} | {stage.name: stage}
        self.update(stages=tuple(stages.values()))

    def add_metrics(self, values: list[MetricValue], protocols: Mapping[str, Mapping[str, Any]] | None = None) -> None:
        """Add measurements; one with a key that is there already replaces the old one.

        Args:
            values: the measurements.
            protocols: fields of their protocols, by fingerprint.
        """
        merged = {old.key: old for old in self.record.metrics} | {value.key: value for value in values}
        known = {**self.record.protocols, **{name: dict(fields) for name, fields in (protocols or {}).items()}}
        self.update(metrics=tuple(merged.values()), protocols=known)


class RunFollower(OpenRecord):
    """The record as the writing process found it; what changes in it stays in memory, and nothing is logged."""

    def log(self, step: int, values: dict[str, float]) -> None:
        """Do nothing: the writing process logs."""

    def sync_log(self) -> None:
        """Do nothing."""

    def truncate_log(self, step: int) -> None:
        """Do nothing."""

    def progress(self, stage: str, step: int, total: int, rate: float | None = None) -> None:
        """Do nothing."""

    def _write(self, record: RunRecord) -> None:
        self._record = record
