"""What happens to the runs of a study, as launchers tell it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

from vtbench.schema.record import RunRecord
from vtbench.store.query import Progress

Kind = Literal["reused", "queued", "started", "progress", "done", "failed", "interrupted"]


@dataclass(frozen=True, kw_only=True)
class RunEvent:
    """Something that happened to a run.

    Attributes:
        kind: what; `progress` comes again and again while a worker runs, `queued` is for jobs of a cluster.
        run_id: of the run.
        seconds: since its worker was started.
        progress: how far it is, if it has told.
        record: its record, if there is one (not with `progress`).
        cause: why it failed, or why it waits.
        place: the job or the node where it is, if it is not this machine.
    """

    kind: Kind
    run_id: str
    seconds: float = 0.0
    progress: Progress | None = None
    record: RunRecord | None = None
    cause: str | None = None
    place: str | None = None


OnEvent = Callable[[RunEvent], None]
