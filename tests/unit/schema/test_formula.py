import ast
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from vtbench.errors import CostError
from vtbench.schema.formula import FUNCTIONS, parse_formula


@pytest.mark.parametrize(
    ("text", "values", "result"),
    [
        ("a / b", {"a": 6, "b": 4}, 1.5),
        ("(a - 1)**2 + -b", {"a": 4, "b": 2}, 7),
        ("percent_fewer(a, b)", {"a": 300, "b": 400}, 25),
        ("percent_fewer(a, b)", {"a": 5, "b": 4}, -25),
        ("spread(a, b, 4)", {"a": 5, "b": 4.5}, 25),
        ("mean(a, b, 3)", {"a": 1, "b": 2}, 2),
        ("log2(max(a, b)) - min(a, b)", {"a": 8, "b": 1}, 2),
        ("8**3 * 5**3", {}, 64000),
    ],
)
def test_results(text, values, result):
    formula = parse_formula(text)
    assert formula.names == set(values)
    assert formula.evaluate(values) == pytest.approx(result)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a +", "is not arithmetic"),
        ("", "is not arithmetic"),
        ("a.b", "'a.b' cannot stand in a formula"),
        ("a[0]", "cannot stand"),
        ("a if b else c", "cannot stand"),
        ("a and b", "cannot stand"),
        ("a < b", "cannot stand"),
        ("a // b", "cannot stand"),
        ("'a'", "cannot stand"),
        ("True", "cannot stand"),
        ("lambda: 1", "cannot stand"),
        ("[a]", "cannot stand"),
        ("min(a, b, *a)", "cannot stand"),
        ("(min)(a, b).x", "cannot stand"),
        ("max(a, key=b)", "cannot stand"),
        ("__import__('os')", "no function '__import__'"),
        ("percent_fever(a, b)", "Did you mean 'percent_fewer'"),
        ("percent_fewer(a)", "takes 2 arguments, not 1"),
        ("spread(a)", "takes at least 2 arguments"),
        ("log2(a, b)", "takes 1 argument, not 2"),
        ("mean + 1", "'mean' is a function"),
    ],
)
def test_what_is_refused(text, said):
    with pytest.raises(ValueError) as caught:
        parse_formula(text)
    assert said in str(caught.value)


@pytest.mark.parametrize("text", ["a / 0", "log2(-a)", "2**a", "(10.0**64)**5", "(-a)**0.5"])
def test_what_has_no_result(text):
    with pytest.raises(CostError, match="has no"):
        parse_formula(text).evaluate({"a": 65})


def test_numbers_are_put_in_for_whole_names_only():
    formula = parse_formula("percent_fewer(grid, grid_2) * log2(2)")
    assert formula.written_out({"grid": "299 G", "grid_2": "445 G"}) == "percent_fewer(299 G, 445 G) * log2(2)"


numbers = st.floats(min_value=0.5, max_value=8)
expressions = st.recursive(
    st.one_of(st.sampled_from(["a", "b"]), st.integers(1, 9).map(str)),
    lambda inner: st.one_of(
        st.tuples(inner, st.sampled_from("+-*/"), inner).map(lambda part: f"({' '.join(part)})"),
        st.tuples(st.sampled_from(["spread", "mean", "max"]), inner, inner).map(lambda p: f"{p[0]}({p[1]}, {p[2]})"),
    ),
    max_leaves=8,
)


@given(text=expressions, a=numbers, b=numbers)
def test_a_formula_means_what_python_means(text, a, b):
    try:
        expected = eval(compile(ast.parse(text, mode="eval"), "", "eval"), {**FUNCTIONS, "a": a, "b": b})
    except ZeroDivisionError:
        expected = math.inf
    if math.isfinite(expected):
        assert parse_formula(text).evaluate({"a": a, "b": b}) == pytest.approx(expected)
    else:
        with pytest.raises(CostError):
            parse_formula(text).evaluate({"a": a, "b": b})
