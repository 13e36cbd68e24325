import pytest

from vtbench.report.cost_data import Costs
from vtbench.report.plots.cost_parts import cost_parts


def test_bars_are_stacked_to_the_total(costs):
    drawing = cost_parts(costs)
    smallest, largest = drawing.figure.axes
    assert (smallest.get_title(), largest.get_title()) == ("256×256", "1024×1024")
    ends = {}
    for bar in largest.patches:
        row = round(bar.get_y() + bar.get_height() / 2)
        ends[row] = max(ends.get(row, 0), bar.get_x() + bar.get_width())
    assert ends == pytest.approx({0: 1280, 1: 1280, 2: 80})
    assert sum(bar.get_hatch() is not None for bar in largest.patches) == 9  # encode, decode, quantise of three arms
    assert [text.get_text() for text in largest.texts] == ["1,280", "1,280", "80.00"]


def test_what_is_not_counted(uncounted):
    drawing = cost_parts(uncounted)
    assert [text.get_text() for text in drawing.figure.axes[0].texts] == ["80.00", "missing", "missing"]
    none = tuple(cell.model_copy(update={"parts": ()}) for cell in uncounted.data.cells)
    assert cost_parts(Costs(uncounted.data.model_copy(update={"cells": none}))) is None
