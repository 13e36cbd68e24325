"""What a printed figure of arithmetic counts: named conventions, so that no number stands without one.

All figures come from one count of multiply-accumulates (MACs), product by product. Norms, activations, interpolation
and look-ups count nothing under every convention, and a causal mask does not halve attention.
"""

from __future__ import annotations

from dataclasses import dataclass

from vtbench.errors import CostError, suggest
from vtbench.schema.cost import ComponentCost, ModelCost, ProductCount


@dataclass(frozen=True, kw_only=True)
class Convention:
    """One way to turn multiply-accumulates into a figure.

    Attributes:
        name: id, printed with every figure.
        unit: what one of the figure is.
        per_mac: how much one multiply-accumulate counts.
        description: one sentence for reports.
        kinds: kinds of product that count; None counts all.
        hooked_only: count only what a module hook sees.
        under: count only products of this module and those below it; for generators alone.
    """

    name: str
    unit: str
    per_mac: int
    description: str
    kinds: frozenset[str] | None = None
    hooked_only: bool = False
    under: str | None = None

    def apply(self, macs: int) -> int:
        """Return the figure of multiply-accumulates that all count, in units."""
        return self.per_mac * macs

    def text(self, macs: int) -> str:
        """Return that in billions with its unit and the convention's name, for example `1065.8 GFLOPs (full)`."""
        return f"{self.apply(macs) / 1e9:.1f} G{self.unit} ({self.name})"

    def applies_to(self, kind: str) -> bool:
        """Return whether models of this kind (`tokenizer`, `generator`) have a figure under this convention."""
        return self.under is None or kind == "generator"

    def counts(self, product: ProductCount, component_name: str = "") -> bool:
        """Return whether a product counts; the component that it is part of makes no difference so far."""
        if self.kinds is not None and product.kind not in self.kinds:
            return False
        if self.under is not None and product.module != self.under and not product.module.startswith(f"{self.under}."):
            return False
        return product.hooked or not self.hooked_only

    def macs(self, component: ComponentCost) -> int:
        """Return the multiply-accumulates of a component that count."""
        return sum(product.macs for product in component.products if self.counts(product, component.name))

    def figure(self, cost: ModelCost, component: str | None = None) -> int:
        """Return the figure of a model, or of one of its components, in units.

        Args:
            cost: what was counted.
            component: name; None adds up the components that make the model's own figure.

        Raises:
            CostError: the convention has no meaning for this kind of model, or the model has no such component.
        """
        if not self.applies_to(cost.kind):
            raise CostError(
                f"The convention '{self.name}' counts a generator's {self.under} and has no meaning for '{cost.model}',"
                f" a {cost.kind}. Choose from: {', '.join(sorted(applicable(cost.kind)))}."
            )
        if component is None:
            return self.apply(sum(self.macs(part) for part in cost.components if part.in_total))
        part = cost.component(component)
        if part is None:
            names = [part.name for part in cost.components]
            raise CostError(f"'{cost.model}' has no component '{component}'.{suggest(component, names)}")
        return self.apply(self.macs(part))


_LAYERS = frozenset({"linear", "conv"})

CONVENTIONS = {
    row.name: row
    for row in (
        Convention(
            name="full",
            unit="FLOPs",
            per_mac=2,
            description="2 x multiply-accumulate of every matrix product, attention included",
        ),
        Convention(
            name="macs",
            unit="MACs",
            per_mac=1,
            description="multiply-accumulates of every matrix product, attention included",
        ),
        Convention(
            name="linear_only",
            unit="FLOPs",
            per_mac=2,
            description="2 x multiply-accumulate of linear layers and convolutions, without attention's own products",
            kinds=_LAYERS,
        ),
        Convention(
            name="hook_no_mha",
            unit="FLOPs",
            per_mac=2,
            description="2 x multiply-accumulate of what hooks on linear and convolution modules see, without attention"
            " and its projections (nn.MultiheadAttention hides them) and without what a function computes",
            hooked_only=True,
        ),
        Convention(
            name="trunk_only",
            unit="FLOPs",
            per_mac=2,
            description="2 x multiply-accumulate of the linear layers in a generator's trunk; attention's own products,"
            " embeddings and the head are left out",
            kinds=_LAYERS,
            under="trunk",
        ),
    )
}
"""The known conventions; `full` is the default everywhere."""


def convention(name: str = "full") -> Convention:
    """Return the convention called `name`.

    Raises:
        CostError: there is none.
    """
    if name not in CONVENTIONS:
        raise CostError(f"No convention for FLOPs is called '{name}'.{suggest(name, CONVENTIONS)}")
    return CONVENTIONS[name]


def applicable(kind: str) -> dict[str, Convention]:
    """Return the conventions under which models of this kind (`tokenizer`, `generator`) have a figure."""
    return {name: row for name, row in CONVENTIONS.items() if row.applies_to(kind)}
