"""What a printed figure of arithmetic counts: named conventions, so that no number stands without one.

All figures here come from one count of multiply-accumulates (MACs) of matrix products: linear layers, convolutions,
attention, distances to a codebook. Norms, activations, interpolation and look-ups count nothing under every
convention, and a causal mask does not halve attention.
"""

from __future__ import annotations

from dataclasses import dataclass

from vtbench.errors import CostError, suggest


@dataclass(frozen=True, kw_only=True)
class Convention:
    """One way to turn multiply-accumulates into a figure.

    Attributes:
        name: id, printed with every figure.
        unit: what one of the figure is.
        per_mac: how much one multiply-accumulate counts.
        description: one sentence for reports.
    """

    name: str
    unit: str
    per_mac: int
    description: str

    def apply(self, macs: int) -> int:
        """Return the figure, in units."""
        return self.per_mac * macs

    def text(self, macs: int) -> str:
        """Return the figure in billions with its unit and the convention's name, for example `1065.8 GFLOPs (full)`."""
        return f"{self.apply(macs) / 1e9:.1f} G{self.unit} ({self.name})"


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
