from vtbench.report.plots import ORDER, PLOTS


def test_every_plot_has_a_place_and_loads():
    assert sorted(ORDER) == PLOTS.names()
    assert all(callable(PLOTS.load(name)) for name in PLOTS)
