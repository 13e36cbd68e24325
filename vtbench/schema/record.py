"""What a run leaves behind: its stages, its measurements, and where they came from."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field

from vtbench.schema.base import Frozen, canonical_json, content_hash
from vtbench.schema.run import SCHEMA_VERSION, RunSpec

TRAINING_STAGES = ("train_tokenizer", "train_generator")
"""Names of the stages that train, one of which each run has; what comes after them measures."""

Status = Literal["pending", "running", "done", "failed", "interrupted"]


class MetricValue(Frozen):
    """One measured number, with all that it depends on.

    `params` say at which point it was taken (`resolution`, `num_tokens`); `protocol` is the fingerprint of how: two
    values with different fingerprints must not be compared. `deterministic` is false for what depends on the machine
    (seconds, bytes), which a repeated run does not reproduce. `interval` is the value's 95 % confidence interval over
    images; `without_blocks` are its values without each tenth of them, from which that of a difference follows.
    """

    name: str
    metric_version: int
    value: float
    interval: tuple[float, float] | None = None
    num_samples: int
    params: dict[str, str | int | float | None]
    protocol: str
    checkpoint: str
    deterministic: bool = True
    without_blocks: tuple[float, ...] = ()

    @property
    def key(self) -> str:
        """What makes this the same measurement: everything but the outcome."""
        return metric_key(self.name, self.metric_version, self.params, self.protocol, self.checkpoint)


def metric_key(name: str, version: int, params: dict[str, Any], protocol: str, checkpoint: str) -> str:
    """Return the identity of a measurement; a value stored under it need not be measured again."""
    return canonical_json([name, version, params, protocol, checkpoint])


class StageRecord(Frozen):
    """One stage of a run, for example `train_tokenizer`."""

    name: str
    status: Status
    steps: int | None = None
    seconds: float = 0.0
    peak_memory_bytes: int | None = None
    checkpoint: str | None = None
    num_processes: int = 1


class Provenance(Frozen):
    """Which code, packages and machine made a record, and when (UTC, ISO 8601)."""

    commit: str | None
    dirty_hash: str | None
    packages: dict[str, str]
    hardware: str
    command: str
    started: str
    finished: str | None = None


class RunError(Frozen):
    """Why a run failed."""

    kind: str
    message: str
    stage: str | None = None


class RunRecord(Frozen):
    """The record of a run; one file, replaced atomically as stages end."""

    schema_version: int = SCHEMA_VERSION
    spec: RunSpec
    status: Status
    stages: tuple[StageRecord, ...] = ()
    metrics: tuple[MetricValue, ...] = ()
    protocols: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Fingerprint -> fields, so that a refusal to compare can say which differ; older records have none."""
    provenance: Provenance
    error: RunError | None = None

    def stage(self, name: str) -> StageRecord | None:
        """Return the stage called `name`, or None if it has not run."""
        return next((stage for stage in self.stages if stage.name == name), None)

    def outcome(self) -> dict[str, Any]:
        """Return the part that a repeated run must reproduce exactly: no times, no machine."""
        return {
            "run_id": self.spec.run_id,
            "status": self.status,
            "stages": [[s.name, s.status, s.steps, s.checkpoint] for s in self.stages],
            "metrics": sorted([m.key, m.value, m.num_samples] for m in self.metrics if m.deterministic),
        }


def protocol_fingerprint(fields: dict[str, Any]) -> str:
    """Return 12 hex digits that stand for how a number was measured."""
    return content_hash(fields)
