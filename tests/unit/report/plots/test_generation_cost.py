"""The distance of samples stands over GFLOPs and seconds, with the front of those that none undercuts."""

import numpy as np

from vtbench.report.plots.generation_cost import generation_cost


def test_a_marker_for_each_point_of_each_arm(generated):
    drawing = generation_cost(generated)
    panels = drawing.figure.axes
    assert [axes.get_title() for axes in panels] == ["32×32", "32×32", "48×48", "48×48"]
    marks = [line for line in panels[0].lines if len(line.get_xdata()) == 1]
    assert len(marks) == 8
    row, points = generated.results.rows[0], generated.results.points
    first = points[0]
    assert first.num_tokens == 4
    x, y = (generated.results.spread(row, name, first).mean for name in ("gflops", "gfd_effnet"))
    assert any(line.get_xdata()[0] == x and line.get_ydata()[0] == y for line in marks)
    hollow = [line for line in marks if line.get_markerfacecolor() == "white"]
    assert len(hollow) == 4
    assert "its tokens and its decoding" in drawing.caption


def test_the_front_falls_and_no_point_lies_below_it(generated):
    axes = generation_cost(generated).figure.axes[0]
    (front,) = [line for line in axes.lines if line.get_color() == "#999999"]
    x, y = front.get_xdata(), front.get_ydata()
    assert np.all(np.diff(x) > 0)
    assert np.all(np.diff(y) < 0)
    for line in axes.lines:
        if len(line.get_xdata()) == 1:
            below = (x <= line.get_xdata()[0]) & (y <= line.get_ydata()[0])
            assert below.any()


def test_studies_of_tokenizers_have_none(full, empty):
    assert generation_cost(full) is None
    assert generation_cost(empty) is None
