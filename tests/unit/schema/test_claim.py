import pytest
from pydantic import ValidationError

from vtbench.schema.claim import Claim, ClaimedFigure, Term, difference_percent, holds, judge

FIGURES = (
    ClaimedFigure(label="grid", published=299, unit="GFLOPs", formula="grid"),
    ClaimedFigure(label="rope", published=445, unit="GFLOPs", formula="rope"),
    ClaimedFigure(label="beside", unit="GFLOPs", formula="grid + rope"),
)


def _claim(**changes):
    return Claim(**{"id": "one", "group": "g", "text": "t", "source": "s", "figures": FIGURES, **changes})


def _values(**conventions):
    """Return the figures' values from convention -> (first, second)."""
    return (
        {name: pair[0] for name, pair in conventions.items()},
        {name: pair[1] for name, pair in conventions.items()},
        {name: sum(pair) for name, pair in conventions.items()},
    )


def test_full_is_what_reproduces_first():
    assert judge(_claim(), _values(full=(299.9, 444), hook_no_mha=(299, 445))) == ("reproduced", "full")


def test_one_convention_must_give_all_figures():
    assert judge(_claim(), _values(full=(1066, 1066), hook_no_mha=(299, 445))) == ("reproduced under", "hook_no_mha")
    assert judge(_claim(), _values(full=(299, 1066), hook_no_mha=(1, 445))) == ("contradicted", None)


def test_where_no_convention_matters():
    assert judge(_claim(), _values(any=(299, 445))) == ("reproduced", "any")


def test_what_is_needed_outweighs_the_arithmetic():
    assert judge(_claim(needs="a GPU"), _values(any=(299, 445))) == ("not testable here", "any")
    assert judge(_claim(needs="a GPU"), _values(any=(299, 400))) == ("not testable here", None)
    assert judge(_claim(needs="a GPU"), ({}, {}, {})) == ("not testable here", None)


@pytest.mark.parametrize(
    ("bound", "published", "tolerance", "value", "expected"),
    [
        ("equal", 100, 1, 101, True),
        ("equal", 100, 1, 98.9, False),
        ("equal", 100, 10, 91, True),
        ("equal", -100, 1, -100.5, True),
        ("equal", 0, 1, 0.9, True),
        ("equal", 0, 1, -1.1, False),
        ("at_most", 1, 0, 0.2, True),
        ("at_most", 1, 0, 1.1, False),
        ("at_least", 3, 0, 5.6, True),
        ("at_least", 3, 0, 2.9, False),
        ("equal", None, 1, 7, True),
    ],
)
def test_tolerances_and_bounds(bound, published, tolerance, value, expected):
    figure = ClaimedFigure(label="a", published=published, unit="x", bound=bound, tolerance_percent=tolerance)
    assert holds(_claim(tolerance_percent=50), figure, value) is expected


def test_differences():
    assert difference_percent(200, 150) == pytest.approx(-25)
    assert difference_percent(0, 5) is None


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({}, "a value or a model"),
        ({"value": 1, "model": "m"}, "a value or a model"),
        ({"value": 1, "resolution": "8x8"}, "nothing but about"),
        ({"model": "m", "quantity": "parameters", "component": "decode"}, "component goes with flops"),
        ({"model": "m", "part": "trunk"}, "part goes with quantity parameters"),
    ],
)
def test_terms_that_mean_two_things(fields, said):
    with pytest.raises(ValidationError, match=said):
        Term(**fields)


def test_only_flops_depend_on_the_convention():
    assert Term(model="m").counted
    assert not Term(model="m", quantity="parameters").counted
    assert not Term(value=3).counted
