import pytest

from vtbench.report.verdicts import (
    conventions_of,
    difference_text,
    label,
    number,
    sentence,
    shown_conventions,
    term_about,
    term_text,
    with_unit,
    workings,
)
from vtbench.schema.claim import Claim, ClaimedFigure, ClaimResult, Term, judge

TERMS = {
    "grid": Term(model="big", resolution="64x64", set={"pos_embed": "grid"}),
    "rope": Term(model="big", num_tokens=8),
}


def _result(published, values, formula="rope / grid", unit="x", **changes):
    """Return a claim of one figure, and what came out under each convention: name -> (grid, rope, figure)."""
    figure = ClaimedFigure(label="ratio", published=published, unit=unit, formula=formula)
    claim = Claim(**{"id": "one", "group": "g", "text": "t", "source": "s", "figures": (figure,), **changes})
    if not claim.terms:
        claim = claim.model_copy(update={"terms": TERMS})
    return _judged(claim, values)


def _judged(claim, values):
    figures = ({name: row[2] for name, row in values.items()},)
    verdict, found = judge(claim, figures)
    terms = {name: {rule: row[i] for rule, row in values.items()} for i, name in enumerate(("grid", "rope"))}
    return ClaimResult(claim=claim, verdict=verdict, convention=found, terms=terms, figures=figures)


HOOKED = {"full": (1e12, 1.001e12, 1.001), "hook_no_mha": (299e9, 445e9, 1.488)}


def test_a_claim_that_holds():
    result = _result(1.0, HOOKED)
    assert label(result) == "reproduced"
    assert sentence(result) == "Recomputed with everything counted (full): 1.001x; published: 1x."
    assert shown_conventions(result) == ["full"]


def test_a_comparison_that_holds_only_for_what_was_counted():
    result = _result(1.49, HOOKED)
    assert label(result) == "reproduced only under hook_no_mha"
    assert sentence(result) == (
        "The published figure holds under hook_no_mha; when everything is counted (full), the comparison drawn from it"
        " does not hold: 1.001x instead of 1.49x."
    )
    assert shown_conventions(result) == ["hook_no_mha", "full"]


def test_a_figure_that_holds_only_for_what_was_counted():
    result = _result(299, {"full": (1e12, 2e12, 1000), "macs": (1, 1, 298.9)}, formula="grid * rope", unit="GFLOPs")
    assert "it is not the whole cost: 1,000 GFLOPs instead of 299 GFLOPs." in sentence(result)


def test_mixed_conventions_name_each_side():
    values = {"full": (1e12, 2e12, 2.0), "as published": (1e12, 3e12, 3.0)}
    result = _result(3, values, as_published={"rope": "linear_only", "grid": "trunk_only"})
    assert label(result) == "reproduced only with rope under linear_only and grid under trunk_only"
    assert [step.convention for step in workings(result, 0)] == ["full", "rope linear_only, grid trunk_only"]


def test_a_contradiction_names_the_honest_figure_and_the_nearest():
    result = _result(2, HOOKED)
    assert label(result) == "contradicted"
    assert sentence(result) == (
        "No convention gives it; everything counted (full): 1.001x instead of 2x. Nearest comes hook_no_mha: 1.488x"
        " instead of 2x."
    )


def test_a_contradiction_of_plain_arithmetic():
    result = _result(94, {"any": (1, 2, 98.4)}, unit="B tokens")
    assert sentence(result) == "The arithmetic gives 98.4 B tokens instead of 94 B tokens."
    assert conventions_of(result) == ["any"]


def test_what_cannot_be_tested():
    untested = _result(None, {"any": (1, 2, 3)}, needs="a GPU")
    assert sentence(untested) == "Needed: a GPU"
    assert "agree with each other" in sentence(_result(3, {"any": (1, 2, 3)}, needs="a GPU"))
    assert "do not give it: 3x instead of 4x. Needed" in sentence(_result(4, {"any": (1, 2, 3)}, needs="a GPU"))


def test_arithmetic_is_written_out_under_each_convention():
    full, hooked = workings(_result(1.49, HOOKED), 0)
    assert full.arithmetic == "rope / grid = 1,001 G / 1,000 G"
    assert (full.value, full.difference, full.holds) == ("1.001x", "-32.8 %", False)
    assert hooked.arithmetic == "rope / grid = 445 G / 299 G"
    assert (hooked.name, hooked.holds) == ("hook_no_mha", True)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0, "0"), (5.632, "5.632"), (298.94, "298.9"), (64000, "64,000"), (1065.84, "1,065.8"), (16290.1, "16,290.1"),
        (1281167, "1,281,167"), (1.93e20, "1.93e+20"), (4.172e12, "4.172e+12"), (-12.5, "-12.5"), (1e-12, "0"),
    ],
)  # fmt: skip
def test_numbers(value, text):
    assert number(value) == text


def test_units_and_differences():
    assert with_unit(5.6, "x") == "5.6x"
    assert [with_unit(value, "%") for value in (33, 33.19, 0.3368, 1e-14)] == ["33 %", "33.2 %", "0.337 %", "0 %"]
    figure = ClaimedFigure(label="a", published=299, unit="GFLOPs")
    assert difference_text(figure, 298.9) == "0.0 %"
    assert difference_text(figure, 1066) == "+257 %"
    zero = ClaimedFigure(label="a", published=0, unit="%")
    assert (difference_text(zero, 0.0), difference_text(zero, 0.5)) == ("0", "+0.5")
    assert difference_text(ClaimedFigure(label="a", unit="x"), 3) == ""
    assert difference_text(ClaimedFigure(label="a", unit="x", published=4, bound="at_most"), 3) == ""


def test_several_figures_are_said_in_one_sentence():
    def result(*values):
        figures = tuple(
            ClaimedFigure(label=f"f{i}", published=10, unit="x", formula="a", bound=bound)
            for i, bound in enumerate(("equal", "at_most", "equal"))
        )[: len(values)]
        claim = Claim(id="one", group="g", text="t", source="s", figures=figures, terms={"a": Term(value=1)})
        rows = tuple({"any": value} for value in values)
        verdict, found = judge(claim, rows)
        return ClaimResult(claim=claim, verdict=verdict, convention=found, terms={"a": {"any": 1.0}}, figures=rows)

    assert sentence(result(10, 2)) == "Both figures agree with the published ones exactly."
    assert sentence(result(10, 2, 10.05)) == "All 3 figures agree with the published ones within 0.5 %."
    assert (
        sentence(result(10, 12, 11))
        == "The arithmetic gives other figures: f1: 12x instead of at most 10x; f2: 11x instead of 10x."
    )


def test_terms_say_what_they_are():
    assert term_about(TERMS["grid"]) == "big, 64x64, pos_embed grid"
    assert term_about(TERMS["rope"]) == "big, 8 tokens"
    assert term_about(Term(model="m", quantity="parameters", part="trunk")) == "m, parameters, of trunk"
    assert term_about(Term(value=3, about="layers")) == "layers"
    assert term_text(TERMS["grid"], 16.29e12) == "16.29 T"
    assert term_text(Term(model="m", quantity="parameters"), 84.9e6) == "84.9 M"
    assert term_text(Term(value=3), 3) == "3"
