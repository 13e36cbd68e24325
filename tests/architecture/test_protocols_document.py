"""docs/protocols.md says of each metric what its class says."""

import math
import re
from pathlib import Path

import pytest

from vtbench.evaluate import METRICS
from vtbench.evaluate.mean_image import MeanImagePsnr
from vtbench.schema.preset import PRESETS

TEXT = (Path(__file__).parents[2] / "docs" / "protocols.md").read_text()
ROWS = {
    found[1]: [cell.strip() for cell in line.split("|")[1:-1]]
    for line in TEXT.splitlines()
    if (found := re.match(r"\| `(\w+)` \|", line)) and line.count("|") == 8
}
"""Rows of the metrics' tables, by id: id, unit, range, better, n, equation, source."""


def _range(text):
    """Return (low, high) of `0 to 1`, `from 0`, `up to 0` or `any`."""
    if text == "any":
        return -math.inf, math.inf
    if text.startswith("from "):
        return float(text[5:]), math.inf
    if text.startswith("up to "):
        return -math.inf, float(text[6:])
    low, high = text.split(" to ")
    return float(low), float(high)


@pytest.mark.parametrize("name", METRICS.names())
def test_a_metric_stands_in_the_document_as_in_its_class(name):
    metric = METRICS.load(name)
    assert name in ROWS, f"docs/protocols.md has no row of `{name}`"
    _, unit, values, better, least, equation, source = ROWS[name]
    assert unit == metric.unit
    assert _range(values) == tuple(metric.value_range)
    assert better == ("higher" if metric.higher_is_better else "lower")
    assert int(least.replace(",", "")) == metric.min_samples
    assert equation
    assert source


def test_the_document_has_no_other_metrics():
    assert set(ROWS) - set(METRICS.names()) == set()
    assert f"`{MeanImagePsnr.name}`" in TEXT


@pytest.mark.parametrize("name", PRESETS)
def test_every_preset_stands_in_the_document(name):
    assert re.search(rf"^\| `{name}` \|", TEXT, re.MULTILINE)
