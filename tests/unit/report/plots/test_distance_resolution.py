import pytest

from vtbench.report.plots.distance_resolution import distance_resolution


def test_one_line_an_arm_at_the_means(full):
    drawing = distance_resolution(full)
    axes = drawing.figure.axes[0]
    assert len(axes.lines) == 4
    row = full.results.rows[0]
    means = [full.results.spread(row, "rfd_effnet", point).mean for point in full.results.points]
    assert axes.lines[0].get_ydata() == pytest.approx(means)
    assert list(axes.lines[0].get_xdata()) == [32.0, 48.0, 96.0]
    assert (axes.get_xscale(), axes.get_yscale()) == ("log", "log")
    assert axes.get_ylabel() == "rFD (EfficientNet-Lite0)"


def test_training_sizes_are_shaded(full):
    shade = distance_resolution(full).figure.axes[0].patches[0]
    left, right = shade.get_x(), shade.get_x() + shade.get_width()
    assert left < 32 < 48 < right < 96


def test_the_caption_states_n_and_seeds(full):
    assert "n = 384 images, 3 seeds. Lower is better." in distance_resolution(full).caption


def test_missing_arms_are_named_and_no_values_are_no_plot(partial, empty):
    lines = {line.get_label(): len(line.get_xdata()) for line in distance_resolution(partial).figure.axes[0].lines}
    assert lines == {"RoPE": 3, "Learnable RoPE": 3, "Dynamic grid (missing)": 0, "Dynamic grid + adaptive patch": 3}
    assert distance_resolution(empty) is None
