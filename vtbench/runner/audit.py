"""Published claims, recomputed: models are built without memory and counted, formulas evaluated, verdicts drawn.

A model that cannot be counted is a fault here and stops the audit; it is never a verdict on a claim.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence

from vtbench.cost.model_cost import count_model
from vtbench.errors import CostError, VtbenchError, suggest
from vtbench.models.generators.base import Generator
from vtbench.models.tokenizers.base import Tokenizer
from vtbench.runner.build import build_card
from vtbench.schema.base import canonical_json
from vtbench.schema.baseline import ModelCard
from vtbench.schema.claim import ANY, HONEST, MIXED, SCALES, Audit, Claim, ClaimResult, Term, judge
from vtbench.schema.convention import convention
from vtbench.schema.cost import ModelCost, Workload
from vtbench.schema.formula import parse_formula
from vtbench.schema.record import Provenance

Cards = Mapping[str, ModelCard]
WorkOf = Callable[[ModelCard, str | None, int | None, int | None], Workload]
"""(card, resolution, number of tokens, patch) -> the work, with the card's own choices for what is None."""


def audit_claims(
    claims: Sequence[Claim],
    cards: Cards,
    work_of: WorkOf,
    provenance: Provenance,
    on_claim: Callable[[Claim], None] = lambda claim: None,
) -> Audit:
    """Recompute claims.

    Args:
        claims: checked by `study.claims.load_claims`.
        cards: name -> card of every model that a claim names.
        work_of: resolves a term's workload, as `study.cards.workload` does.
        provenance: which code recomputes.
        on_claim: called before each claim.

    Raises:
        CostError: a model cannot be built or counted, or a formula has no result; names the claim.
    """
    counts = Counts(cards, work_of)
    results = []
    for claim in claims:
        on_claim(claim)
        try:
            results.append(_recompute(claim, counts))
        except VtbenchError as error:
            raise CostError(f"The claim '{claim.id}' cannot be recomputed: {error}") from error
    return Audit(results=tuple(results), tool=counts.tool, provenance=provenance)


class Counts:
    """Costs and parameters of models; each is counted once, however many claims ask for it."""

    def __init__(self, cards: Cards, work_of: WorkOf) -> None:
        self._cards = cards
        self._work_of = work_of
        self._costs: dict[str, ModelCost] = {}

    @property
    def tool(self) -> str:
        """What counted."""
        return "; ".join(sorted({cost.tool for cost in self._costs.values()})) or "arithmetic alone"

    def card(self, term: Term) -> ModelCard:
        """Return the card of a term's model."""
        if (card := self._cards.get(str(term.model))) is None:
            raise CostError(f"no model is called '{term.model}'.{suggest(str(term.model), self._cards)}")
        return card

    def work(self, term: Term) -> Workload:
        """Return the work that a term's model does."""
        return self._work_of(self.card(term), term.resolution, term.num_tokens, term.patch)

    def tokens(self, term: Term) -> int:
        """Return the number of tokens of a term's model at its resolution."""
        if (tokens := self.work(term).num_tokens) is None:
            raise CostError(f"the card '{term.model}' does not say how many tokens there are; give num_tokens.")
        return tokens

    def parameters(self, term: Term) -> int:
        """Return the number of parameters of a term's model or of a part of it."""
        model = self._build(term)
        try:
            part = model.get_submodule(term.part or "")
        except AttributeError as error:
            known = [name for name, _ in model.named_children()]
            raise CostError(f"'{term.model}' has no part '{term.part}'.{suggest(str(term.part), known)}") from error
        return sum(parameter.numel() for parameter in part.parameters())

    def cost(self, term: Term) -> ModelCost:
        """Return what a term's model costs at its workload."""
        work = self.work(term)
        key = canonical_json([term.model, term.set, work.model_dump()])
        if key not in self._costs:
            self._costs[key] = count_model(str(term.model), self._build(term), work)
        return self._costs[key]

    def _build(self, term: Term) -> Tokenizer | Generator:
        return build_card(self.card(term), term.set, self.work(term))


def _recompute(claim: Claim, counts: Counts) -> ClaimResult:
    counted = {name: counts.cost(term) for name, term in claim.terms.items() if term.counted}
    candidates = dict(_candidates(claim, counted))
    terms = {name: _values(name, term, candidates, counts) for name, term in claim.terms.items()}
    figures = []
    for figure in claim.figures:
        values: dict[str, float] = {}
        if figure.formula is not None:
            formula = parse_formula(figure.formula)
            for candidate in candidates:
                numbers = {name: of[candidate] if candidate in of else of[ANY] for name, of in terms.items()}
                values[candidate] = formula.evaluate(numbers) / SCALES.get(figure.unit, 1)
        figures.append(values)
    verdict, found = judge(claim, tuple(figures))
    return ClaimResult(claim=claim, verdict=verdict, convention=found, terms=terms, figures=tuple(figures))


def _candidates(claim: Claim, counted: Mapping[str, ModelCost]) -> Iterator[tuple[str, dict[str, str]]]:
    """Yield (name, convention of each counted term) of what is tried, in its order."""
    if not counted:
        yield ANY, {}
        return
    for name in claim.conventions:
        if all(convention(name).applies_to(cost.kind) for cost in counted.values()):
            yield name, dict.fromkeys(counted, name)
    if claim.as_published:
        yield MIXED, dict(claim.as_published)


def _values(name: str, term: Term, candidates: Mapping[str, Mapping[str, str]], counts: Counts) -> dict[str, float]:
    """Return a term's number in ones under each candidate, or once if it does not matter."""
    if term.value is not None:
        return {ANY: term.value}
    if term.quantity == "parameters":
        return {ANY: counts.parameters(term)}
    if term.quantity == "tokens":
        return {ANY: counts.tokens(term)}
    cost = counts.cost(term)
    if term.quantity == "attention_flops":
        return {ANY: _attention_flops(cost, term.component)}
    return {
        candidate: convention(chosen[name]).figure(cost, term.component) for candidate, chosen in candidates.items()
    }


def _attention_flops(cost: ModelCost, component: str | None) -> int:
    chosen = [each for each in cost.components if (each.in_total if component is None else each.name == component)]
    macs = sum(product.macs for each in chosen for product in each.products if product.kind == "attention")
    return convention(HONEST).apply(macs)
