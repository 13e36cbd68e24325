"""Every row of the metric table declares all that a report needs of a metric."""

import pytest

from vtbench.evaluate import METRICS
from vtbench.evaluate.metric import Metric


@pytest.mark.parametrize("name", METRICS.names())
def test_metric_declares_itself(name):
    metric = METRICS.load(name)
    assert issubclass(metric, Metric)
    assert metric.name == name
    assert metric.title
    assert metric.source
    assert isinstance(metric.higher_is_better, bool)
    assert metric.version >= 1
    assert metric.min_samples >= 1


def test_inception_alone_may_call_itself_fid():
    assert {name for name in METRICS if name.endswith("fid")} == {"rfid"}
    assert METRICS.load("rfid").network == "inception"
