"""The tables of differences, in short and in full."""

import math

import pytest

from vtbench.evaluate.statistics import Error, Estimate, Interval
from vtbench.report.comparison import Comparison
from vtbench.report.comparison_tables import (
    compared_metrics,
    comparisons,
    difference_text,
    differences,
    image_by_image,
    interval_text,
    p_equals,
    p_text,
    verdict,
)
from vtbench.report.gather import gather, load
from vtbench.report.image_pairs import ImagePair
from vtbench.report.results import Point, Results

AT = Point("96x96", None)
ERRORS = (Error(0.2, 2.0),)


@pytest.fixture(scope="module")
def results(full_report):
    return Results(load(full_report))


def _comparison(results, value=-1.234, errors=ERRORS, p=0.01, seeds=3, metric="rfd_effnet"):
    row, other = results.rows[1], results.rows[0]
    over = "seeds and images" if errors else ""
    return Comparison(row, other, metric, AT, Estimate(value, errors), seeds, over, -0.1, p_adjusted=p)


def _column(table, group, name):
    return [(column.group, column.name) for column in table.columns].index((group, name))


def test_text_of_a_difference(results):
    assert difference_text(None) == "missing"
    assert difference_text(_comparison(results, errors=())) == "−1.23"
    assert difference_text(_comparison(results)) == "−1.23* [−2.09,\u00a0−0.37]"
    assert difference_text(_comparison(results, p=0.2)) == "−1.23 [−2.09,\u00a0−0.37]"
    assert interval_text(Interval(math.nan, math.nan)) == "–"


@pytest.mark.parametrize(
    ("p", "text", "equals"),
    [
        (0.0004, "<0.001", "p < 0.001"),
        (0.0421, "0.042", "p = 0.042"),
        (0.3, "0.30", "p = 0.30"),
        (math.nan, "–", "p = –"),
    ],
)
def test_text_of_p(p, text, equals):
    assert (p_text(p), p_equals(p)) == (text, equals)


def test_verdicts(results):
    assert verdict(_comparison(results)) == "better"
    assert verdict(_comparison(results, value=1.0)) == "worse"
    assert verdict(_comparison(results, value=1.0, metric="psnr")) == "better"
    assert verdict(_comparison(results, metric="num_parameters")) == "differs"
    assert verdict(_comparison(results, p=0.2)) == "no difference shown"
    assert verdict(_comparison(results, p=math.nan)) == "–"
    assert verdict(_comparison(results, seeds=1)) == "one seed"


def test_differences_are_paired_to_the_reference(results):
    table = differences(results)
    assert table.title == "Difference to RoPE"
    assert [row[0] for row in table.rows] == ["Learnable RoPE", "Dynamic grid", "Dynamic grid + adaptive patch"]
    far = _column(table, "rFD (EfficientNet-Lite0) ↓", "96×96")
    assert table.rows[2][far].startswith("−1")
    assert "* [" in table.rows[2][far]
    assert any("the table of tests says which" in note for note in table.notes)  # PSNR has no rows here


def test_one_seed_has_intervals_over_images_and_no_statement(synthetic, tmp_path):
    store, plan = synthetic.study(tmp_path / "runs", seeds=(0,))
    found = Results(gather(store, plan.id, tmp_path / "out"))
    table = differences(found)
    assert "One seed: it holds for these weights" in table.notes[0]
    assert not any("*" in cell for row in table.rows for cell in row)
    assert {row[-1] for row in comparisons(found).rows if row[0].startswith("rFD")} == {"one seed"}


def test_every_quality_metric_is_tested_and_no_cost(results):
    assert compared_metrics(results) == ["rfd_effnet", "psnr", "ssim", "mae"]
    table = comparisons(results)
    assert len(table.rows) == 4 * 3 * 3
    first = dict(zip([column.name for column in table.columns], table.rows[0], strict=True))
    assert (first["Metric"], first["At"], first["Arm"]) == ("rFD (EfficientNet-Lite0)", "32×32", "Learnable RoPE")
    assert first["Holds for other"] == "seeds and images"
    assert "In the limit of n" not in first  # 384 images are too few


def test_the_limit_is_shown_where_there_are_enough_images(results):
    data = results.data
    values = tuple(value.model_copy(update={"num_samples": 5000}) for value in data.values)
    table = comparisons(Results(data.model_copy(update={"values": values})))
    column = [column.name for column in table.columns].index("In the limit of n")
    shown = {row[0]: row[column] for row in table.rows}
    assert "[" in shown["rFD (EfficientNet-Lite0)"]
    assert shown["PSNR (dB)"] == "–"
    assert len(table.notes) == 2


def test_images_one_by_one(results):
    assert image_by_image(results) is None
    pair = ImagePair(
        metric="mae",
        resolution="96x96",
        num_tokens=None,
        first=("grid-0", "grid-1", "grid-2"),
        other=("rope-0", "rope-1", "rope-2"),
        num_images=384,
        difference=-0.05,
        standard_error=0.01,
        low=-0.07,
        high=-0.03,
        share_higher=0.1,
        share_lower=0.9,
        p_value=1e-9,
        rank_biserial=-0.8,
        standardised=-1.2,
    )
    table = image_by_image(Results(results.data.model_copy(update={"image_pairs": (pair,)})))
    assert table.rows == (
        ("MAE (pixels in [0, 1])", "96×96", "Dynamic grid", "−0.0500", "[−0.0700,\u00a0−0.0300]", "90 %", "−1.20",
         "−0.80", "<0.001"),
    )  # fmt: skip
    assert "n = 384 images" in table.notes[0]
