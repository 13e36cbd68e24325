"""Distance and class accuracy against the scale of guidance, a panel a length."""

import pytest

from vtbench.report.plots.guidance import guidance
from vtbench.report.plots.style import PlotData
from vtbench.report.results import Results


def test_a_line_an_arm_at_each_length(generated):
    drawing = guidance(generated)
    panels = drawing.figure.axes
    assert [axes.get_title() for axes in panels[:2]] == ["4 tokens", "16 tokens"]
    assert len(panels) == 4
    handles, labels = panels[0].get_legend_handles_labels()
    assert labels == ["RoPE", "Learnable RoPE"]
    line = handles[0].lines[0]
    assert list(line.get_xdata()) == [1.0, 2.0]
    assert list(line.get_ydata()) == pytest.approx([105.5, 100.5])


def test_other_filters_are_lines_of_their_own(generated):
    data, config = generated.results.data, generated.results.plan.evaluate.generation
    more = config.model_copy(update={"top_k": (None, 64)})
    evaluate = data.plan.evaluate.model_copy(update={"generation": more})
    results = Results(data.model_copy(update={"plan": data.plan.model_copy(update={"evaluate": evaluate})}))
    _, labels = guidance(PlotData(results, generated.folder)).figure.axes[0].get_legend_handles_labels()
    assert labels[:2] == ["RoPE", "RoPE, top-k 64 (missing)"]


def test_one_scale_has_no_plot(generated, full):
    data, config = generated.results.data, generated.results.plan.evaluate.generation
    evaluate = data.plan.evaluate.model_copy(update={"generation": config.model_copy(update={"cfg_scale": (1.0,)})})
    results = Results(data.model_copy(update={"plan": data.plan.model_copy(update={"evaluate": evaluate})}))
    assert guidance(PlotData(results, generated.folder)) is None
    assert guidance(full) is None
