"""Records of many runs, each only as far as deciding what is left to do needs it."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pydantic import BaseModel, ConfigDict, ValidationError

from vtbench.errors import StoreError
from vtbench.schema.record import TRAINING_STAGES, RunError, RunRecord, Status
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
        """Whether training is done: measuring alone may be left."""
        return any(stage.name in TRAINING_STAGES and stage.status == "done" for stage in self.stages)


def load_outlines(store: Store, run_ids: Iterable[str]) -> dict[str, RecordOutline]:
    """Return the outlines of runs by id; those without a record are left out.

    Raises:
        StoreError: a record is broken or of a newer version.
    """
    found = {}
    for run_id, file in record_files(store, run_ids):
        try:
            outline = RecordOutline.model_validate_json(file.data)
        except ValidationError:
            outline = None
        if outline is None or outline.schema_version > SCHEMA_VERSION:
            # not of the usual form: the whole record says what is wrong, or is one of an older version
            whole = load_versioned(store.record_path(run_id), RunRecord)
            outline = RecordOutline.model_validate(whole.model_dump(mode="json"))
        found[run_id] = outline
    return found


@dataclass(frozen=True)
class RecordFile:
    """A record as it lies on disk: its bytes, and when they were written (seconds since the epoch)."""

    data: bytes
    changed: float


def record_files(store: Store, run_ids: Iterable[str]) -> Iterator[tuple[str, RecordFile]]:
    """Yield the id and the file of each run that has a record.

    Raises:
        StoreError: a file is there and cannot be read.
    """
    begun = begun_runs(store)
    # Paths made of text and files without buffers: of ten thousand records half of the time would go there.
    before, _, after = os.fspath(store.record_path("RUN")).rpartition("RUN")
    for run_id in run_ids:
        if run_id not in begun:
            continue
        path = f"{before}{run_id}{after}"
        try:
            descriptor = os.open(path, os.O_RDONLY)
        except FileNotFoundError:
            continue
        except OSError as error:
            raise StoreError(f"{path} cannot be read ({error.strerror}).") from error
        try:
            status = os.fstat(descriptor)
            yield run_id, RecordFile(os.read(descriptor, status.st_size), status.st_mtime)
        finally:
            os.close(descriptor)
