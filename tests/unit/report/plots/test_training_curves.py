from vtbench.report.plots.training_curves import training_curves


def test_a_panel_a_value_and_a_line_an_arm(full):
    panels = training_curves(full).figure.axes
    assert [axes.get_ylabel() for axes in panels] == ["training loss", "MSE, pixels in [0, 1]"]
    for axes in panels:
        assert len(axes.lines) == 4
        values = axes.lines[0].get_ydata()
        assert len(values) == 200
        assert values[-1] < values[0]
        assert axes.get_yscale() == "log"


def test_nothing_logged_is_no_plot(empty):
    assert training_curves(empty) is None
