"""Seconds an image stand over its size: of its tokens, of its decoding, and of both."""

import pytest

from vtbench.report.plots.generation_speed import PARTS, generation_speed


def test_tokens_decoding_and_both_over_the_sizes(generated):
    drawing = generation_speed(generated)
    panels = drawing.figure.axes
    assert [axes.get_title() for axes in panels] == ["tokens", "decoding", "both"]
    row, results = generated.results.rows[0], generated.results
    for axes, metric in zip(panels, PARTS, strict=True):
        (line,) = [each for each in axes.lines if each.get_label() == row.label]
        assert list(line.get_xdata()) == [32, 48]
        sizes = [point for point in results.usual_points(metric) if point.num_tokens == 16]
        expected = [results.spread(row, metric, point).mean for point in sizes]
        assert line.get_ydata() == pytest.approx(expected)
        bars = [each for each in axes.lines if len(set(each.get_xdata())) == 1]
        assert bars[0].get_ydata() == pytest.approx([0.9 * expected[0], 1.2 * expected[0]])
    assert "batches of 50" in drawing.caption


def test_both_takes_what_its_parts_take(generated):
    tokens, decoding, both = (axes.lines[0].get_ydata() for axes in generation_speed(generated).figure.axes)
    assert list(both) == pytest.approx([a + b for a, b in zip(tokens, decoding, strict=True)])


def test_studies_of_tokenizers_have_none(full, empty):
    assert generation_speed(full) is None
    assert generation_speed(empty) is None
