import pytest

from vtbench.evaluate import METRICS
from vtbench.launch.missing import missing_values
from vtbench.schema.record import MetricValue, Provenance, RunRecord


@pytest.fixture
def plan(make_plan):
    return make_plan(evaluate__num_tokens=[None, 2])


def value(name, num_tokens=None, **changes):
    given = {"metric_version": METRICS.load(name).version, "num_samples": 4, **changes}
    point = {"resolution": "16x16", "num_tokens": num_tokens}
    return MetricValue(name=name, value=1.0, params=point, protocol="p", checkpoint="c", **given)


def record(plan, *values):
    nowhere = Provenance(commit=None, dirty_hash=None, packages={}, hardware="", command="", started="")
    return RunRecord(spec=next(iter(plan.runs.values())), status="done", metrics=values, provenance=nowhere)


def test_nothing_is_missing(plan):
    assert missing_values(plan, record(plan, *(value(n, k) for n in ("psnr", "mae") for k in (None, 2)))) == []


def test_each_missing_value_has_its_reason(plan):
    found = missing_values(
        plan, record(plan, value("psnr"), value("psnr", 2, metric_version=0), value("mae", 2, num_samples=3))
    )
    assert found == [
        "mae at 16x16, L=2: stored over 3 images, asked over 4",
        "mae at 16x16: never measured",
        f"psnr at 16x16, L=2: stored by version 0 of the metric, which is at {METRICS.load('psnr').version}",
    ]
