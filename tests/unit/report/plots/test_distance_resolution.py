import pytest

from vtbench.report.plots.distance_resolution import distance_resolution
from vtbench.report.plots.style import PlotData
from vtbench.report.results import Results


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


def test_other_shapes_have_a_panel_of_their_own(full):
    """Two shapes of one area would stand at one place; the line is that of the squares."""
    data = full.results.data
    names = {"32x32": "32x32", "48x48": "32x64", "96x96": "64x32"}
    evaluate = data.plan.evaluate.model_copy(update={"resolutions": (*names.values(), "64x64")})
    values = [value.model_copy(update={"resolution": names.get(value.resolution)}) for value in data.values]
    values += [
        value.model_copy(update={"resolution": "64x64", "value": 2 * value.value})
        for value in data.values
        if value.resolution == "32x32"
    ]
    changed = {"plan": data.plan.model_copy(update={"evaluate": evaluate}), "values": tuple(values), "image_pairs": ()}
    results = Results(data.model_copy(update=changed))
    above, below = distance_resolution(PlotData(results, full.folder)).figure.axes
    assert [list(line.get_xdata()) for line in above.lines] == [[32.0, 64.0]] * 4
    assert [text.get_text() for text in below.get_xticklabels()] == ["32×64", "64×32"]
    marks = [line for line in below.lines if len(line.get_xdata()) == 1]
    point = results.points[1]
    assert [mark.get_ydata()[0] for mark in marks[:4]] == pytest.approx(
        [results.spread(row, "rfd_effnet", point).mean for row in results.rows]
    )
    assert len(marks) == 8
