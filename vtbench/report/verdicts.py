"""Verdicts on claims in plain words: each sentence is made of computed figures, never written by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from vtbench.schema.claim import (
    ANY,
    COMPARISONS,
    HONEST,
    MIXED,
    ClaimedFigure,
    ClaimResult,
    Term,
    Verdict,
    difference_percent,
    holds,
)
from vtbench.schema.formula import parse_formula

ORDER: tuple[Verdict, ...] = ("reproduced under", "contradicted", "reproduced", "not testable here")
"""What a reader should know first stands first."""
HEADINGS: dict[Verdict, str] = {
    "reproduced": "Reproduced",
    "reproduced under": "Reproduced only under another convention",
    "contradicted": "Contradicted",
    "not testable here": "Not testable here",
}
_BOUNDS = {"equal": "", "at_most": "at most ", "at_least": "at least "}


@dataclass(frozen=True, kw_only=True)
class Working:
    """A figure under one convention, with the arithmetic written out.

    Attributes:
        figure: the claim's figure.
        name: id of the convention.
        convention: the same in words: of mixed conventions, each term's.
        arithmetic: the formula, and the same with the numbers put in; a term that is the whole formula stands alone.
        value: the result with its unit.
        difference: from the published figure; empty if there is none.
        holds: whether it is what was published, within the tolerance.
    """

    figure: ClaimedFigure
    name: str
    convention: str
    arithmetic: str
    value: str
    difference: str
    holds: bool


def label(result: ClaimResult) -> str:
    """Return the verdict with its convention, for example `reproduced only under hook_no_mha`."""
    if result.verdict != "reproduced under":
        return result.verdict
    return f"reproduced only {_under(result, str(result.convention))}"


def sentence(result: ClaimResult) -> str:
    """Return why the verdict is what it is."""
    if result.verdict == "not testable here":
        return _own_numbers(result) + f"Needed: {result.claim.needs}"
    if result.verdict == "contradicted":
        return _contradiction(result)
    tested = tested_figures(result)
    if result.verdict == "reproduced":
        return f"{_agreement(result, str(result.convention))}."
    one = len(tested) == 1
    if all(result.claim.figures[index].unit in COMPARISONS for index in tested):
        but = f"the comparison drawn from {'it' if one else 'them'} does not hold"
    else:
        but = "it is not the whole cost" if one else "they are not the whole cost"
    return (
        f"The published {'figure holds' if one else 'figures hold'} {_under(result, str(result.convention))};"
        f" when everything is counted ({HONEST}), {but}: {_failures(result, HONEST)}."
    )


def tested_figures(result: ClaimResult) -> list[int]:
    """Return the indices of the figures that were published and recomputed."""
    pairs = enumerate(zip(result.claim.figures, result.figures, strict=True))
    return [index for index, (figure, values) in pairs if figure.published is not None and values]


def shown_conventions(result: ClaimResult) -> list[str]:
    """Return the conventions that are shown beside a claim: that of the verdict, and the honest one."""
    names = conventions_of(result)
    wanted = [result.convention, HONEST, ANY]
    return [name for name in dict.fromkeys(wanted) if name is not None and name in names]


def conventions_of(result: ClaimResult) -> list[str]:
    """Return the conventions under which a claim was recomputed, in the order in which they were tried."""
    return list(dict.fromkeys(name for values in result.figures for name in values))


def workings(result: ClaimResult, index: int) -> Iterator[Working]:
    """Yield a figure of a claim under each convention, with its arithmetic."""
    figure, values = result.claim.figures[index], result.figures[index]
    if figure.formula is None:
        return
    formula = parse_formula(figure.formula)
    for name, value in values.items():
        texts = {
            term: term_text(result.claim.terms[term], of[name] if name in of else of[ANY])
            for term, of in result.terms.items()
        }
        written = formula.written_out(texts)
        yield Working(
            figure=figure,
            name=name,
            convention=convention_text(result, name),
            arithmetic=formula.text if {formula.text} == formula.names else f"{formula.text} = {written}",
            value=with_unit(value, figure.unit),
            difference=difference_text(figure, value),
            holds=holds(result.claim, figure, value),
        )


def convention_text(result: ClaimResult, name: str) -> str:
    """Return a convention's name; of mixed ones, each term's."""
    if name != MIXED:
        return name
    return ", ".join(f"{term} {rule}" for term, rule in result.claim.as_published.items())


def published_text(figure: ClaimedFigure) -> str:
    """Return the published figure with its unit, or nothing."""
    if figure.published is None:
        return ""
    return _BOUNDS[figure.bound] + with_unit(figure.published, figure.unit)


def difference_text(figure: ClaimedFigure, value: float) -> str:
    """Return how far a value is from the published figure: in percent, from a 0 in units; of a bound, nothing."""
    if figure.published is None or figure.bound != "equal":
        return ""
    percent = difference_percent(figure.published, value)
    if percent is None:
        return "0" if round(value, 3) == 0 else f"{value:+.3g}"
    if abs(percent) < 0.05:
        return "0.0 %"
    return f"{percent:+.0f} %" if abs(percent) >= 100 else f"{percent:+.1f} %"


def term_text(term: Term, value: float) -> str:
    """Return a term's number (in ones): FLOPs in G or T, parameters in M."""
    if term.model is None or term.quantity == "tokens":
        return number(value)
    if term.quantity == "parameters":
        return f"{number(value / 1e6)} M"
    return f"{number(value / 1e12)} T" if value >= 1e13 else f"{number(value / 1e9)} G"


def term_about(term: Term) -> str:
    """Return what a term is: the publication's words, or model, quantity and workload."""
    if term.model is None:
        return term.about
    of = {"flops": term.component or "", "attention_flops": "products of attention", "parameters": "parameters"}
    parts = [of.get(term.quantity, "tokens"), f"of {term.part}" if term.part else "", term.resolution or ""]
    parts += [f"{term.num_tokens} tokens" if term.num_tokens else "", f"patch {term.patch}" if term.patch else ""]
    parts += [f"{name} {value}" for name, value in term.set.items()]
    return ", ".join([term.model, *filter(None, parts)])


def with_unit(value: float, unit: str) -> str:
    """Return a value with its unit: `298.9 GFLOPs`, `5.608x`, `33.2 %`."""
    if unit == "%":
        return f"{0.0 if abs(value) < 1e-9 else value:.3g} %"
    return f"{number(value)}x" if unit == "x" else f"{number(value)} {unit}"


def number(value: float) -> str:
    """Return a number with four significant digits or one decimal, whichever is more."""
    if abs(value) >= 1e9:
        return f"{value:.4g}"
    if abs(value) < 1e-9:
        return "0"
    if abs(value) >= 1000:
        return f"{value:,.0f}" if float(value).is_integer() or abs(value) >= 1e5 else f"{value:,.1f}"
    return f"{value:.4g}"


def _under(result: ClaimResult, name: str) -> str:
    if name != MIXED:
        return f"under {name}"
    return "with " + " and ".join(f"{term} under {rule}" for term, rule in result.claim.as_published.items())


def _agreement(result: ClaimResult, name: str) -> str:
    tested = tested_figures(result)
    how = f" with everything counted ({HONEST})" if name == HONEST else ""
    if len(tested) > 1:
        far = f"{_distance(result, name):.1f} %"
        figures = "Both figures" if len(tested) == 2 else f"All {len(tested)} figures"
        return f"{figures} agree with the published ones {'exactly' if far == '0.0 %' else f'within {far}'}{how}"
    figure, value = result.claim.figures[tested[0]], result.figures[tested[0]][name]
    return f"Recomputed{how}: {with_unit(value, figure.unit)}; published: {published_text(figure)}"


def _failures(result: ClaimResult, name: str) -> str:
    """Return the figures that do not hold under a convention, with what they are instead."""
    found = []
    tested = tested_figures(result)
    for index in tested:
        figure, value = result.claim.figures[index], result.figures[index][name]
        if not holds(result.claim, figure, value):
            what = f"{figure.label}: " if len(tested) > 1 else ""
            found.append(f"{what}{with_unit(value, figure.unit)} instead of {published_text(figure)}")
    return "; ".join(found)


def _contradiction(result: ClaimResult) -> str:
    names = conventions_of(result)
    nearest = min(names, key=lambda name: _distance(result, name))
    if names == [ANY]:
        others = "other figures: " if len(tested_figures(result)) > 1 else ""
        return f"The arithmetic gives {others}{_failures(result, ANY)}."
    text = f"No convention gives it; everything counted ({HONEST}): {_failures(result, HONEST)}"
    if nearest != HONEST:
        text += f". Nearest comes {convention_text(result, nearest)}: {_failures(result, nearest)}"
    return f"{text}."


def _distance(result: ClaimResult, name: str) -> float:
    """Return the largest difference from a published figure under a convention, in percent (from a 0: in units)."""
    distances = []
    for index in tested_figures(result):
        figure, value = result.claim.figures[index], result.figures[index][name]
        percent = difference_percent(figure.published or 0.0, value)
        kept = figure.bound != "equal" and holds(result.claim, figure, value)
        distances.append(0.0 if kept else abs(value if percent is None else percent))
    return max(distances)


def _own_numbers(result: ClaimResult) -> str:
    """Return what the arithmetic on a publication's own numbers says of a claim that nobody can test here."""
    if not tested_figures(result):
        return ""
    if result.convention is not None:
        return "The publication's own numbers agree with each other, which tests nothing. "
    return f"The publication's own numbers do not give it: {_failures(result, conventions_of(result)[0])}. "
