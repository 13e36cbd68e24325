"""Which runs of a plan are done already, decided from their records alone."""

from __future__ import annotations

from typing import Literal

from vtbench.evaluate import METRICS
from vtbench.schema.record import RunRecord
from vtbench.schema.study import StudyPlan
from vtbench.store.layout import Store
from vtbench.store.outline import RecordOutline, load_outlines

_Param = str | int | float | None
ValueKey = tuple[str, int, _Param, _Param, _Param]
"""What makes a stored value one that a plan asks for: metric, its version, resolution, number of tokens, route."""

Retry = Literal["all", "failed", "none"]
"""Which runs that are not done to make: all, only those that failed, or only those that did not."""


def wanted(retry: Retry, failed: bool) -> bool:
    """Return whether a run that is not done is to be made."""
    return retry == "all" or (retry == "failed") == failed


def is_done(plan: StudyPlan, record: RunRecord | RecordOutline | None) -> bool:
    """Return whether a run is trained and holds every value that the plan asks for.

    A value counts if it is of the metric's present version and over the plan's number of samples. Where the data set
    has fewer, the answer is no, and the worker, which knows the data set, finds in seconds that nothing is left to
    do.
    """
    return record is not None and record.status == "done" and asked_values(plan) <= held_values(plan, record)


def done_runs(store: Store, plan: StudyPlan) -> set[str]:
    """Return the runs of a plan that are done; as `is_done`, for all of them at once.

    Raises:
        StoreError: a record is broken or of a newer version.
    """
    asked, outlines = asked_values(plan), load_outlines(store, plan.runs)
    return {
        run_id
        for run_id, outline in outlines.items()
        if outline.status == "done" and asked <= held_values(plan, outline)
    }


def asked_values(plan: StudyPlan) -> set[ValueKey]:
    """Return what a plan asks each of its runs for."""
    versions = {name: METRICS.load(name).version for name in plan.metrics}
    return {
        (name, version, resolution, num_tokens, route)
        for name, version in versions.items()
        for resolution, route in plan.evaluate.places
        for num_tokens in plan.evaluate.num_tokens
    }


def held_values(plan: StudyPlan, record: RunRecord | RecordOutline) -> set[ValueKey]:
    """Return what a record has of all that the plan could ask for: values over the plan's number of samples."""
    return {
        (
            value.name,
            value.metric_version,
            value.params.get("resolution"),
            value.params.get("num_tokens"),
            value.params.get("route"),
        )
        for value in record.metrics
        if value.num_samples == plan.evaluate.num_samples
    }
