"""Which runs of a plan are done already, decided from their records alone."""

from __future__ import annotations

from typing import Literal

from vtbench.evaluate import METRICS
from vtbench.schema.record import RunRecord
from vtbench.schema.study import StudyPlan

Retry = Literal["all", "failed", "none"]
"""Which runs that are not done to make: all, only those that failed, or only those that did not."""


def wanted(retry: Retry, failed: bool) -> bool:
    """Return whether a run that is not done is to be made."""
    return retry == "all" or (retry == "failed") == failed


def is_done(plan: StudyPlan, record: RunRecord | None) -> bool:
    """Return whether a run is trained and holds every value that the plan asks for.

    A value counts if it is of the metric's present version and over the plan's number of samples. Where the data set
    has fewer, the answer is no, and the worker, which knows the data set, finds in seconds that nothing is left to
    do.
    """
    if record is None or record.status != "done":
        return False
    have = {
        (value.name, value.metric_version, value.params.get("resolution"), value.params.get("num_tokens"))
        for value in record.metrics
        if value.num_samples == plan.evaluate.num_samples
    }
    return all(
        (name, METRICS.load(name).version, resolution, num_tokens) in have
        for name in plan.metrics
        for resolution in plan.evaluate.resolutions
        for num_tokens in plan.evaluate.num_tokens
    )
