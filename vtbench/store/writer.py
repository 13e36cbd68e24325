"""The one writer of a run's folder."""

from __future__ import annotations

import json
import os
import time
from contextlib import nullcontext, suppress
from types import TracebackType

from vtbench.errors import StoreError
from vtbench.schema.record import Provenance, RunRecord
from vtbench.schema.run import RunSpec
from vtbench.store.files import append_line, read_lines, sync_file, write_atomic
from vtbench.store.layout import Store
from vtbench.store.lock import RunLock
from vtbench.store.open_record import OpenRecord
from vtbench.store.query import Progress, dump, load_record, parse_log_line


class RunWriter(OpenRecord):
    """Holds a run's lock while the block lasts, and writes the run's files so that `kill -9` never breaks them.

    A new record starts as `running`. An existing one is loaded as it is, and its status is the caller's to set; it
    keeps its provenance if one of its stages is done (that code made the result), and gets the new one otherwise.

    Args:
        store: where to.
        spec: the run.
        provenance: which code and machine write it.

    Raises:
        RunLockedError: another live process writes this run (on entering, or later if this one was taken for dead).
        StoreError: the existing record is broken or belongs to another run.
    """

    def __init__(self, store: Store, spec: RunSpec, provenance: Provenance) -> None:
        super().__init__()
        self._store = store
        self._spec = spec
        self._provenance = provenance
        self._lock = RunLock(store.lock_path(spec.run_id))

    def __enter__(self) -> RunWriter:
        self._lock.acquire()
        try:
            self._open()
        except BaseException:
            self._lock.release()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if kind is not None and issubclass(kind, KeyboardInterrupt):
                self.update(status="interrupted")
        finally:
            # on a disk that is gone there is nothing to give back, and the error that says so is on its way
            with suppress(StoreError) if kind is not None else nullcontext():
                self._lock.release()

    def release(self) -> None:
        """Give the run back before the block ends: for a process that is about to end without leaving it."""
        self._lock.release()

    def _open(self) -> None:
        """Load or create the record, and write the spec."""
        run_id = self._spec.run_id
        found = load_record(self._store, run_id)
        if found is None:
            write_atomic(self._store.spec_path(run_id), dump(self._spec), parents=False)
            self._write(RunRecord(spec=self._spec, status="running", provenance=self._provenance))
            return
        if found.spec.run_id != run_id:
            raise StoreError(
                f"{self._store.record_path(run_id)} is the record of run {found.spec.run_id}, not of {run_id}."
                " Delete that folder, or run with --fresh."
            )
        self._record = found
        if not any(stage.status == "done" for stage in found.stages):
            self.update(provenance=self._provenance)

    def log(self, step: int, values: dict[str, float]) -> None:
        """Append one line to the training log."""
        self._lock.check()
        append_line(self._store.log_path(self._spec.run_id), json.dumps({"step": step, **values}), parents=False)

    def sync_log(self) -> None:
        """Wait until the training log is on disk: a checkpoint must not be there before the lines that led to it."""
        sync_file(self._store.log_path(self._spec.run_id))

    def truncate_log(self, step: int) -> None:
        """Drop all lines after `step`, and a torn last one: what a resumed run is about to log again."""
        self._lock.check()
        path = self._store.log_path(self._spec.run_id)
        if not path.exists():
            return
        lines = read_lines(path)
        kept = [line for number, line in enumerate(lines, 1) if parse_log_line(path, number, line)["step"] <= step]
        write_atomic(path, "".join(f"{line}\n" for line in kept), parents=False)

    def progress(self, stage: str, step: int, total: int, rate: float | None = None) -> None:
        """Tell other processes how far `stage` is; cheap enough to be called several times a second.

        A disk that is full for a moment does not end a run for the sake of its onlookers.
        """
        self._lock.check()
        progress = Progress(stage=stage, step=step, total=total, rate=rate, pid=os.getpid(), time=time.time())
        with suppress(StoreError):
            write_atomic(self._store.progress_path(self._spec.run_id), progress.to_json(), sync=False, parents=False)

    def _write(self, record: RunRecord) -> None:
        self._lock.check()
        # The lock made the folder. If it is gone now, so is its disk, and what is written beside would be lost.
        write_atomic(self._store.record_path(self._spec.run_id), dump(record), parents=False)
        self._record = record
