from matplotlib import rcParams

from vtbench.report.plots.style import Drawing, colour, marker, new_figure, styled


def test_the_same_figure_gives_the_same_bytes_without_a_version():
    def draw():
        with styled():
            figure = new_figure(2, 2)
            figure.subplots().plot([1, 2], [1, 3])
            return Drawing(figure, "t", "c").png()

    assert draw() == draw()
    assert b"Software" not in draw()


def test_the_style_is_left_behind():
    before = rcParams["axes.spines.top"]
    rcParams["lines.linewidth"] = 7.0
    with styled():
        assert rcParams["axes.spines.top"] is False
        assert rcParams["lines.linewidth"] != 7.0
    assert rcParams["lines.linewidth"] == 7.0
    rcParams["lines.linewidth"] = 1.5
    assert rcParams["axes.spines.top"] is before


def test_arms_differ_in_colour_and_marker(full):
    rows = full.results.rows
    assert len({colour(row) for row in rows}) == len({marker(row) for row in rows}) == 4
