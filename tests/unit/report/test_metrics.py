import pytest

from vtbench.evaluate import METRICS
from vtbench.report.metrics import display, in_order, number


@pytest.mark.parametrize(
    ("value", "text"),
    [(0.0123, "0.0123"), (0.8123, "0.812"), (1.374, "1.37"), (17.256, "17.26"), (280.71, "280.7"), (12345.6, "12,346")],
)
def test_numbers_show_the_digits_worth_reading(value, text):
    assert number(value) == text


def test_an_unknown_metric_is_shown_under_its_id():
    assert display("my_metric").heading == "my_metric"
    assert display("psnr").heading == "PSNR (dB) ↑"
    assert display("rfid").heading == "rFID ↓"


def test_order_is_quality_then_unknown_then_cost():
    shuffled = {"images_per_second_encode", "my_metric", "psnr", "rfid", "gflops", "num_parameters"}
    assert in_order(shuffled) == [
        "num_parameters",
        "gflops",
        "rfid",
        "psnr",
        "my_metric",
        "images_per_second_encode",
    ]


@pytest.mark.parametrize("name", METRICS.names())
def test_what_is_shown_is_what_the_metric_declares(name):
    declared, shown = METRICS.load(name), display(name)
    assert shown.lower_is_better is not declared.higher_is_better
    assert shown.min_samples == declared.min_samples
    assert not declared.unit or shown.unit == declared.unit
