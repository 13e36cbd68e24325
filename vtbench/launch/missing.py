"""Why values that a plan asks of a run are not in its record: never measured, or measured otherwise."""

from __future__ import annotations

from vtbench.launch.reuse import POINT, ValueKey, asked_values, held_values, num_samples
from vtbench.schema.record import MetricValue, RunRecord
from vtbench.schema.study import StudyPlan


def missing_values(plan: StudyPlan, record: RunRecord) -> list[str]:
    """Return a line for each value that is to be measured yet, with the reason."""
    config = record.spec.config
    missing = asked_values(plan, config) - held_values(plan, config, record)
    return [_line(plan, record, key) for key in sorted(missing, key=str)]


def _line(plan: StudyPlan, record: RunRecord, key: ValueKey) -> str:
    name, version, values = key
    point = dict(zip(POINT, values, strict=True))
    resolution, num_tokens, route = (point.pop(each) for each in ("resolution", "num_tokens", "route"))
    place = f"{name} at {resolution}{f', L={num_tokens}' if num_tokens is not None else ''}"
    place += "" if route is None else f", {str(route).replace('_', ' ')}"
    place += "".join(f", {setting}={value}" for setting, value in point.items() if value is not None)
    like = [
        value
        for value in record.metrics
        if value.name == name and tuple(value.params.get(each) for each in POINT) == values
    ]
    return f"{place}: {_reason(like[-1], version, num_samples(plan, record.spec.config)) if like else 'never measured'}"


def _reason(value: MetricValue, version: int, wanted: int | None) -> str:
    reasons = []
    if value.metric_version != version:
        reasons.append(f"stored by version {value.metric_version} of the metric, which is at {version}")
    if value.num_samples != wanted:
        reasons.append(f"stored over {value.num_samples:,} images, asked over {wanted:,}")
    return " and ".join(reasons)
