from matplotlib import rcParams

from vtbench.report.plots import PLOTS
from vtbench.report.plots.style import Drawing, PlotData, colour, marker, new_figure, rows_text, styled
from vtbench.report.results import Results


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


def test_a_caption_says_what_is_left_out(full, many_rows):
    assert rows_text(full.results) == ""
    text = rows_text(Results(many_rows))
    assert text == " 4 of 80 rows: of each arm the one with the best mean rFD (EfficientNet-Lite0)."


def test_plots_of_many_rows_stay_readable(many_rows, tmp_path):
    data = PlotData(Results(many_rows), tmp_path)
    for name in ("training_curves", "distance_resolution"):
        drawing = PLOTS.load(name)(data)
        (legend,) = drawing.figure.legends
        assert len([text for text in legend.get_texts() if "steps=5" in text.get_text()]) == 4
        assert "4 of 80 rows" in drawing.caption
