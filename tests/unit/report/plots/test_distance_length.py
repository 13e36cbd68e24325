import numpy as np
import pytest

from vtbench.report.comparison import against_reference
from vtbench.report.gather import load
from vtbench.report.plots.distance_length import distance_length
from vtbench.report.plots.style import PlotData
from vtbench.report.results import Results

LENGTHS = (2, 8, 16)


@pytest.fixture(scope="session")
def lengths(full_report):
    """Return the synthetic study, measured at several lengths and some of its sizes; distances fall with the length."""

    def lengths(sizes, leave_out=()):
        data = load(full_report)
        evaluate = data.plan.evaluate.model_copy(update={"resolutions": sizes, "num_tokens": LENGTHS})
        values = [
            value.model_copy(update={"num_tokens": length, "value": value.value * 16 / length})
            for value in data.values
            for length in LENGTHS
            if value.resolution in sizes and value.run_id not in leave_out
        ]
        update = {"plan": data.plan.model_copy(update={"evaluate": evaluate}), "values": tuple(values)}
        return PlotData(Results(data.model_copy(update={**update, "image_pairs": ()})), full_report)

    return lengths


def test_a_line_an_arm_for_the_distance_and_for_psnr(lengths):
    data = lengths(("48x48",))
    axes = distance_length(data).figure.axes
    assert [each.get_title() for each in axes[:2]] == ["rFD (EfficientNet-Lite0), 48×48", "PSNR (dB), 48×48"]
    for panel, metric in zip(axes[:2], ("rfd_effnet", "psnr"), strict=True):
        for line, row in zip(panel.lines, data.results.rows, strict=True):
            assert list(line.get_xdata()) == list(LENGTHS)
            means = [data.results.spread(row, metric, point).mean for point in data.results.points]
            assert line.get_ydata() == pytest.approx(means)


def test_differences_have_the_interval_and_the_test_of_the_tables(lengths):
    data = lengths(("48x48",))
    below = distance_length(data).figure.axes[2]
    bars = [line for line in below.lines if len(line.get_xdata()) == 2 and line.get_xdata()[0] > 1]
    marks = [line for line in below.lines if len(line.get_xdata()) == 1]
    found = [each for point in data.results.points for each in against_reference(data.results, "rfd_effnet", point)]
    assert len(found) == len(bars) == len(marks) == 9
    for each, bar, mark in zip(found, bars, marks, strict=True):
        assert list(bar.get_ydata()) == pytest.approx(list(each.estimate.interval))
        assert mark.get_ydata()[0] == pytest.approx(each.estimate.value)
        assert (mark.get_markerfacecolor() != "white") == each.claimed
        assert np.log2(mark.get_xdata()[0] / each.point.num_tokens) == pytest.approx(0, abs=0.2)
    assert any(each.claimed for each in found)


def test_several_sizes_are_columns_of_the_main_metric(lengths):
    titles = [each.get_title() for each in distance_length(lengths(("32x32", "96x96"))).figure.axes[:2]]
    assert titles == ["rFD (EfficientNet-Lite0), 32×32", "rFD (EfficientNet-Lite0), 96×96"]


def test_an_arm_without_values_is_named(lengths):
    drawing = distance_length(lengths(("48x48",), leave_out=("grid-0", "grid-1", "grid-2")))
    assert "Dynamic grid (missing)" in [line.get_label() for line in drawing.figure.axes[0].lines]
    assert "n = 384 images, 3 seeds" in drawing.caption


def test_one_length_is_no_plot(full, empty):
    assert distance_length(full) is None
    assert distance_length(empty) is None
