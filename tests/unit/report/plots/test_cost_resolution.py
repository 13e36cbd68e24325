import pytest

from vtbench.report.cost_data import Costs
from vtbench.report.plots.cost_resolution import cost_resolution


def test_a_line_an_arm_in_full_and_a_thin_one_as_published(costs):
    drawing = cost_resolution(costs)
    panels = drawing.figure.axes
    assert [axes.get_title() for axes in panels] == ["one use", "decode"]
    lines = [line for line in panels[0].get_lines() if len(line.get_xdata()) == 3]
    assert [line.get_linestyle() for line in lines] == ["-"] * 3 + ["--"] * 3
    assert list(lines[0].get_xdata()) == [256, 512, 1024]
    assert list(lines[1].get_ydata()) == pytest.approx([80, 320, 1280])
    assert list(lines[4].get_ydata()) == pytest.approx([60, 240, 960])
    assert panels[0].get_xscale() == panels[0].get_yscale() == "log"


def test_a_line_that_another_hides_is_wider(costs):
    grid, rope, flat = cost_resolution(costs).figure.axes[0].get_lines()[:3]
    assert grid.get_linewidth() > rope.get_linewidth() == flat.get_linewidth()


def test_published_figures_are_crosses(costs):
    crosses = [line for line in cost_resolution(costs).figure.axes[0].get_lines() if line.get_marker() == "x"]
    assert [(line.get_xdata()[0], line.get_ydata()[0]) for line in crosses] == [(1024, 640), (1024, 960), (1024, 41)]


def test_nothing_published_and_nothing_counted(costs, cost_plan, uncounted):
    bare = Costs(costs.data.model_copy(update={"study": cost_plan(published=()).study}))
    drawing = cost_resolution(bare)
    assert "published" not in drawing.caption
    assert len(drawing.figure.axes[0].get_lines()) == 3
    assert len(cost_resolution(uncounted).figure.axes[0].get_lines()) == 5  # one arm twice, three published figures
    none = uncounted.data.model_copy(update={"cells": tuple(c for c in uncounted.data.cells if c.arm != "grid")})
    arms = tuple(arm for arm in uncounted.study.arms if arm.name != "grid")
    study = uncounted.study.model_copy(update={"arms": arms, "published": ()})
    assert cost_resolution(Costs(none.model_copy(update={"study": study}))) is None
