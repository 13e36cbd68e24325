"""Why values that a plan asks of a run are not in its record: never measured, or measured otherwise."""

from __future__ import annotations

from vtbench.launch.reuse import ValueKey, asked_values, held_values
from vtbench.schema.record import MetricValue, RunRecord
from vtbench.schema.study import StudyPlan


def missing_values(plan: StudyPlan, record: RunRecord) -> list[str]:
    """Return a line for each value that is to be measured yet, with the reason."""
    missing = asked_values(plan) - held_values(plan, record)
    return [_line(plan, record, key) for key in sorted(missing, key=lambda key: [str(part) for part in key])]


def _line(plan: StudyPlan, record: RunRecord, key: ValueKey) -> str:
    name, version, resolution, num_tokens, route = key
    place = f"{name} at {resolution}{f', L={num_tokens}' if num_tokens is not None else ''}"
    place += "" if route is None else f", {str(route).replace('_', ' ')}"
    like = [
        value
        for value in record.metrics
        if (value.name, *(value.params.get(each) for each in ("resolution", "num_tokens", "route")))
        == (name, resolution, num_tokens, route)
    ]
    return f"{place}: {_reason(plan, like[-1], version) if like else 'never measured'}"


def _reason(plan: StudyPlan, value: MetricValue, version: int) -> str:
    reasons = []
    if value.metric_version != version:
        reasons.append(f"stored by version {value.metric_version} of the metric, which is at {version}")
    if value.num_samples != plan.evaluate.num_samples:
        reasons.append(f"stored over {value.num_samples:,} images, asked over {plan.evaluate.num_samples:,}")
    return " and ".join(reasons)
