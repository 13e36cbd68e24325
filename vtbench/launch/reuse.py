"""Which runs of a plan are done already, decided from their records alone."""

from __future__ import annotations

from collections.abc import Hashable, Mapping
from typing import Literal

from vtbench.evaluate import METRICS
from vtbench.schema.generation import Sampling
from vtbench.schema.record import RunRecord
from vtbench.schema.run import RunConfig
from vtbench.schema.study import StudyPlan
from vtbench.store.layout import Store
from vtbench.store.outline import RecordOutline, load_outlines

_Param = str | int | float | None
ValueKey = tuple[str, int, tuple[_Param, ...]]
"""What makes a stored value one that a plan asks for: metric, its version, and the values at `POINT` of its params."""

POINT = ("resolution", "num_tokens", "route", *Sampling.model_fields)

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
    config = record.spec.config
    return asked_values(plan, config) <= held_values(plan, config, record)


def done_runs(store: Store, plan: StudyPlan) -> set[str]:
    """Return the runs of a plan that are done; as `is_done`, for all of them at once.

    Raises:
        StoreError: a record is broken or of a newer version.
    """
    asked = Asked(plan)
    outlines = load_outlines(store, plan.runs)
    return {run_id for run_id, outline in outlines.items() if outline.status == "done" and asked.held(run_id, outline)}


class Asked:
    """What a plan asks of its runs, gathered once for all of them."""

    def __init__(self, plan: StudyPlan) -> None:
        self._plan = plan
        self._of_kind: dict[Hashable, set[ValueKey]] = {}

    def held(self, run_id: str, record: RunRecord | RecordOutline) -> bool:
        """Return whether the record of a run holds every value that the plan asks for."""
        config = self._plan.runs[run_id].config
        generator = config.generator
        kind = None if generator is None else ("grid_size" in generator.model.options, generator.tokens.resolutions)
        if kind not in self._of_kind:
            self._of_kind[kind] = asked_values(self._plan, config)
        return self._of_kind[kind] <= held_values(self._plan, config, record)


def asked_values(plan: StudyPlan, config: RunConfig) -> set[ValueKey]:
    """Return what a plan asks of a run with this config: of a tokenizer, or of a generator."""
    metrics = {name: METRICS.load(name) for name in plan.metrics}
    if config.generator is None:
        versions = {name: metric.version for name, metric in metrics.items() if metric.of_reconstructions}
        points: list[dict[str, _Param]] = [
            {"resolution": resolution, "num_tokens": num_tokens, "route": route}
            for resolution, route in plan.evaluate.places
            for num_tokens in plan.evaluate.num_tokens
        ]
    else:
        versions = {name: metric.version for name, metric in metrics.items() if metric.of_generations}
        generation = plan.evaluate.generation
        points = [] if generation is None else [point.params for point in config.generator.points(generation)]
    return {(name, version, _place(point)) for name, version in versions.items() for point in points}


def held_values(plan: StudyPlan, config: RunConfig, record: RunRecord | RecordOutline) -> set[ValueKey]:
    """Return what a record has of all that the plan could ask for: values over the plan's number of samples."""
    wanted = num_samples(plan, config)
    return {
        (value.name, value.metric_version, _place(value.params))
        for value in record.metrics
        if value.num_samples == wanted
    }


def num_samples(plan: StudyPlan, config: RunConfig) -> int | None:
    """Return over how many images a plan measures a run with this config; None if it does not."""
    if config.generator is None:
        return plan.evaluate.num_samples
    return None if plan.evaluate.generation is None else plan.evaluate.generation.num_samples


def _place(params: Mapping[str, _Param]) -> tuple[_Param, ...]:
    return tuple(map(params.get, POINT))
