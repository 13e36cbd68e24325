"""A published claim, how it is recomputed, and what came out.

A claim is text, published figures, and a formula over named terms for each figure. A term is a number that the
publication states, or a quantity of one of our models (`baselines/*.yaml`). Nobody writes a verdict: it follows from
the figures under the conventions of `vtbench.schema.convention`.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, NonNegativeFloat, PositiveInt, model_validator

from vtbench.schema.base import Frozen, Resolution
from vtbench.schema.record import Provenance
from vtbench.schema.run import SCHEMA_VERSION

Verdict = Literal["reproduced", "reproduced under", "contradicted", "not testable here"]
"""`reproduced under` means: under a convention other than `full` only."""
Quantity = Literal["flops", "attention_flops", "parameters", "tokens"]
Unit = Literal[
    "GFLOPs", "TFLOPs", "FLOPs", "M parameters", "B parameters", "parameters", "x", "%", "tokens", "B tokens",
    "B patches", "entries", "bits", "steps", "lengths", "px", "s", "rFID", "gFID", "dB",
]  # fmt: skip
"""What a figure counts."""

SCALES: dict[str, float] = {
    "GFLOPs": 1e9,
    "TFLOPs": 1e12,
    "M parameters": 1e6,
    "B parameters": 1e9,
    "B tokens": 1e9,
    "B patches": 1e9,
}
"""How many ones a unit is; units that are not named here count ones."""
COMPARISONS = ("x", "%")
"""Units of figures that compare two costs."""

DEFAULT_CONVENTIONS = ("full", "macs", "linear_only", "hook_no_mha", "trunk_only")
"""Tried in this order."""
HONEST = "full"
"""The convention that leaves nothing out."""
MIXED = "as published"
"""Each term under the convention that `as_published` names for it."""
ANY = "any"
"""Stands for all conventions where none matters."""


class Term(Frozen):
    """One number in a formula: stated (`value`) or of a model (`model` and what of it)."""

    about: str = ""
    """What a stated number is, in a few words."""
    value: float | None = None
    model: str | None = None
    """Name of a model card."""
    quantity: Quantity = "flops"
    """`flops`: of one call, under a convention; `attention_flops`: 2 x multiply-accumulate of its attention products
    alone; `parameters`: of the model or of one `part`; `tokens`: at the resolution."""
    component: str | None = None
    """Of which component, for example `decode` or `step`; null means the model's total."""
    part: str | None = None
    """Submodule whose parameters count, for example `trunk`; null means all."""
    resolution: Resolution | None = None
    num_tokens: PositiveInt | None = None
    patch: PositiveInt | None = None
    set: dict[str, Any] = Field(default_factory=dict)
    """Options of the model that differ from its card."""

    @model_validator(mode="after")
    def _one_kind(self) -> Term:
        if (self.value is None) == (self.model is None):
            raise ValueError("a term has a value or a model, and not both")
        if self.value is not None and self != Term.model_construct(value=self.value, about=self.about):
            raise ValueError("a stated value has nothing but about beside it")
        if self.component is not None and self.quantity == "parameters":
            raise ValueError("component goes with flops; of parameters name a part")
        if self.part is not None and self.quantity != "parameters":
            raise ValueError("part goes with quantity parameters")
        return self

    @property
    def counted(self) -> bool:
        """Whether its number depends on the convention."""
        return self.model is not None and self.quantity == "flops"


class ClaimedFigure(Frozen):
    """One number of a claim."""

    label: str
    published: float | None = None
    """In units; null for a figure that stands beside the claim for comparison."""
    unit: Unit
    bound: Literal["equal", "at_most", "at_least"] = "equal"
    tolerance_percent: NonNegativeFloat | None = None
    """Overrides the claim's."""
    formula: str | None = None
    """Over the claim's terms, in ones (FLOPs, parameters); null if it cannot be recomputed here."""


class Claim(Frozen):
    """Something that a publication says, and how to recompute it."""

    id: str
    group: str
    """Heading in the report."""
    text: str
    """What is claimed, in our words."""
    source: str
    tolerance_percent: NonNegativeFloat = 1.0
    """Largest difference from the published figure that still reproduces it; of a published 0: in units."""
    conventions: tuple[str, ...] = DEFAULT_CONVENTIONS
    as_published: dict[str, str] = Field(default_factory=dict)
    """Term -> convention, for a claim whose terms were counted differently; tried last."""
    terms: dict[str, Term] = Field(default_factory=dict)
    figures: tuple[ClaimedFigure, ...] = ()
    needs: str = ""
    """What a test would take; a claim that has it is not testable here, whatever its arithmetic says."""
    lesson: str = ""
    """What to take from it, beyond the computed verdict."""

    def tolerance(self, figure: ClaimedFigure) -> float:
        """Return the tolerance of one of its figures, in percent."""
        return self.tolerance_percent if figure.tolerance_percent is None else figure.tolerance_percent


class ClaimResult(Frozen):
    """A claim, recomputed."""

    claim: Claim
    verdict: Verdict
    convention: str | None
    """The first convention under which all figures hold (`any` where none matters); null if there is none."""
    terms: dict[str, dict[str, float]]
    """Term -> convention -> number in ones; `any` where the convention does not matter."""
    figures: tuple[dict[str, float], ...]
    """For each figure of the claim: convention -> value in its unit; empty if it has no formula."""


class Audit(Frozen):
    """All claims, recomputed: what a report of claims is rendered from."""

    kind: Literal["claims"] = "claims"
    schema_version: int = SCHEMA_VERSION
    results: tuple[ClaimResult, ...]
    tool: str
    provenance: Provenance


def difference_percent(published: float, value: float) -> float | None:
    """Return how far `value` lies from a published figure, in percent of it; None if that is zero."""
    return 100 * (value / published - 1) if published else None


def holds(claim: Claim, figure: ClaimedFigure, value: float) -> bool:
    """Return whether a recomputed value, in units, is what was published, within the tolerance."""
    if figure.published is None:
        return True
    slack = claim.tolerance(figure) * (abs(figure.published) / 100 if figure.published else 1)
    if figure.bound == "at_most":
        return value <= figure.published + slack
    if figure.bound == "at_least":
        return value >= figure.published - slack
    return abs(value - figure.published) <= slack


def judge(claim: Claim, figures: tuple[dict[str, float], ...]) -> tuple[Verdict, str | None]:
    """Return the verdict on a claim, and the first convention under which all of its figures hold.

    Args:
        claim: the claim.
        figures: for each of its figures: convention -> value in its unit, with the same conventions in the same order
            in all that have a formula.
    """
    tested = [
        (figure, values)
        for figure, values in zip(claim.figures, figures, strict=True)
        if figure.published is not None and values
    ]
    names = list(tested[0][1]) if tested else []
    found = next((name for name in names if all(holds(claim, figure, values[name]) for figure, values in tested)), None)
    if claim.needs:
        return "not testable here", found
    if found is None:
        return "contradicted", None
    return ("reproduced" if found in (ANY, HONEST) else "reproduced under"), found
