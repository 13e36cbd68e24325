from dataclasses import replace

from vtbench.report.plots.training_curves import training_curves
from vtbench.report.results import Results


def test_a_panel_a_value_and_a_line_an_arm(full):
    panels = training_curves(full).figure.axes
    assert [axes.get_ylabel() for axes in panels] == ["training loss", "MSE, pixels in [0, 1]"]
    for axes in panels:
        assert len(axes.lines) == 4
        values = axes.lines[0].get_ydata()
        assert len(values) == 200
        assert values[-1] < values[0]
        assert axes.get_yscale() == "log"


def test_what_no_drawn_arm_logged_is_no_panel(full):
    """A generator's report holds its tokenizer's curves too, which are of no row."""
    results = full.results
    first, *others = results.data.curves
    bare = [curve.model_copy(update={"values": {"loss": curve.values["loss"]}}) for curve in others]
    tokenizer = first.model_copy(update={"run_id": "0" * 12})
    changed = Results(results.data.model_copy(update={"curves": (tokenizer, *bare)}))
    panels = training_curves(replace(full, results=changed)).figure.axes
    assert [axes.get_ylabel() for axes in panels] == ["training loss"]


def test_nothing_logged_is_no_plot(empty):
    assert training_curves(empty) is None
