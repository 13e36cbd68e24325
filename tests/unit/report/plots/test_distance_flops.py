from vtbench.report.plots.distance_flops import distance_flops


def test_a_panel_a_resolution_and_a_marker_an_arm(full):
    panels = distance_flops(full).figure.axes
    assert [axes.get_title() for axes in panels] == [
        "32×32 (trained at)",
        "48×48 (trained at)",
        "96×96 (not trained at)",
    ]
    assert all(len(axes.containers) == 4 for axes in panels)
    points = [container.lines[0].get_xydata()[0] for container in panels[2].containers]
    assert points[3][0] < points[0][0]
    assert points[3][1] < points[0][1]


def test_a_missing_arm_is_named_in_the_legend(partial, empty):
    figure = distance_flops(partial).figure
    assert "Dynamic grid (missing)" in [text.get_text() for text in figure.legends[0].get_texts()]
    assert distance_flops(empty) is None
