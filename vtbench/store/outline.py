"""Records of many runs, each only as far as deciding what is left to do needs it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pydantic import BaseModel, ConfigDict, ValidationError

from vtbench.schema.record import RunError, RunRecord, Status
from vtbench.schema.run import SCHEMA_VERSION
from vtbench.store.layout import Store
from vtbench.store.query import begun_runs, load_versioned


class _Part(BaseModel):
    model_config = ConfigDict(extra="ignore")


class OutlineStage(_Part):
    """A stage: its name, whether it is done, and how many steps it took."""

    name: str
    status: Status
    steps: int | None = None


class OutlineValue(_Part):
    """What was measured, without the outcome."""

    name: str
    metric_version: int
    num_samples: int
    params: dict[str, str | int | float | None]


class RecordHead(_Part):
    """What a run is doing; read in a quarter of the time of a whole record."""

    schema_version: int
    status: Status
    stages: tuple[OutlineStage, ...] = ()
    error: RunError | None = None


class RecordOutline(RecordHead):
    """What a run has done and measured."""

    metrics: tuple[OutlineValue, ...] = ()

    def has_trained(self) -> bool:
        """Whether the first stage, which trains, is done: measuring alone may be left."""
        return bool(self.stages) and self.stages[0].status == "done"


def load_outlines(store: Store, run_ids: Iterable[str]) -> dict[str, RecordOutline]:
    """Return the outlines of runs by id; those without a record are left out.

    Raises:
        StoreError: a record is broken or of a newer version.
    """
    begun, found = begun_runs(store), {}
    for run_id in run_ids:
        if run_id in begun and (outline := _outline(store.record_path(run_id))) is not None:
            found[run_id] = outline
    return found


def _outline(path: Path) -> RecordOutline | None:
    try:
        found = RecordOutline.model_validate_json(path.read_bytes())
    except FileNotFoundError:
        return None
    except (OSError, ValidationError):
        return _careful(path)
    return found if found.schema_version <= SCHEMA_VERSION else _careful(path)


def _careful(path: Path) -> RecordOutline:
    """Return the outline of a record that is not of the usual form, or raise a `StoreError` that says why."""
    return RecordOutline.model_validate(load_versioned(path, RunRecord).model_dump(mode="json"))
