import json
import math

import pytest

from vtbench.store.json_text import MANY, indented


@pytest.mark.parametrize(
    "value",
    [
        {"a": [1, 2.5, None, True, "ü\n"], "b": {"c": {}, "d": [], "e": [{"f": 1}]}, "g": 1e-05},
        [],
        {},
        "text",
        [[1], [[2]]],
        list(range(MANY)),
    ],
)
def test_short_values_are_written_as_usual(value):
    assert indented(value) == json.dumps(value, indent=1, ensure_ascii=False)


def test_numbers_that_are_not_finite():
    assert math.isnan(json.loads(indented({"x": math.nan}))["x"])


@pytest.mark.parametrize("items", [{f"k{n}": {"a": [n]} for n in range(500)}, [{"a": [n]} for n in range(500)]])
def test_long_values_have_a_line_an_item(items):
    value = {"first": 1, "items": items}
    text = indented(value)
    assert json.loads(text) == value
    assert len(text.splitlines()) == 500 + 5
    assert text.splitlines()[1] == ' "first": 1,'
