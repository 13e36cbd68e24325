"""First half of a cost report: its `data.json`, and the counts in it seen as rows (arms) and columns (resolutions).

A count lists every matrix product of a model; the report keeps their sums: each component under each convention, and
the parts of one use of the model under `full`. With them and the conventions' definitions a committed report can be
rendered again without store or torch.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Literal

from pydantic import Field

from vtbench.errors import StoreError
from vtbench.report.gather import DATA_FILE, DATA_VERSION, layout
from vtbench.schema.base import Frozen
from vtbench.schema.baseline import ModelCard
from vtbench.schema.convention import CONVENTIONS, convention
from vtbench.schema.cost import ModelCost
from vtbench.schema.cost_study import TOTAL, CostPlan, CostStudy, PublishedCost
from vtbench.schema.record import Provenance
from vtbench.store.files import write_atomic
from vtbench.store.query import load_versioned

FULL = "full"
PRODUCT, OTHER = "linear and convolution", "attention and other products"
"""The two groups of matrix products that parts of a model are split into."""

_LAYERS = ("linear", "conv")
_GENERATOR_PARTS = ("trunk", "head")


class CostPart(Frozen):
    """What one part of one use of a model costs under `full`, in FLOPs, by group of products."""

    name: str
    linear: int
    other: int


class CostCellData(Frozen):
    """The counts of one cell; all are None or empty if it has not been counted."""

    arm: str
    length: int | None
    resolution: str
    num_tokens: int | None
    patch: int | None
    num_parameters: int | None = None
    weight_bytes: int | None = None
    kv_cache_bytes: int | None = None
    figures: dict[str, dict[str, int]] = Field(default_factory=dict)
    """Component, `total` among them -> convention -> figure in units of that convention."""
    parts: tuple[CostPart, ...] = ()
    coverage: float | None = None
    """This count over the second counter's, of the component where they agree least; 1.0 when all agree."""
    tool: str | None = None


class CostReportData(Frozen):
    """All that a cost report is made of."""

    kind: Literal["cost"] = "cost"
    schema_version: int = DATA_VERSION
    study: CostStudy
    cards: dict[str, ModelCard]
    cells: tuple[CostCellData, ...]
    provenance: Provenance


def gather_costs(
    plan: CostPlan, costs: Sequence[ModelCost | None], provenance: Provenance, out_dir: Path
) -> CostReportData:
    """Write a cost study's `data.json` into `out_dir`, replacing an earlier one.

    Args:
        plan: the study.
        costs: of each of its cells, None for those that have not been counted.
        provenance: which code counted.
        out_dir: the report's folder, made if missing.
    """
    cells = tuple(_cell(plan, index, cost) for index, cost in enumerate(costs))
    data = CostReportData(study=plan.study, cards=plan.cards, cells=cells, provenance=provenance)
    write_atomic(out_dir / DATA_FILE, layout(data))
    return data


def load_costs(out_dir: Path) -> CostReportData:
    """Return what `gather_costs` wrote into `out_dir`.

    Raises:
        StoreError: there is no `data.json`, or it is broken or of a newer version.
    """
    path = out_dir / DATA_FILE
    if not path.exists():
        raise StoreError(f"{out_dir} holds no report: {DATA_FILE} is missing. `python -m vtbench run` makes one.")
    return load_versioned(path, CostReportData)


@dataclass(frozen=True)
class CostRow:
    """An arm, at one length if lengths are an axis; `cells` by resolution."""

    arm: str
    arm_index: int
    label: str
    cells: dict[str, CostCellData]

    def figure(self, resolution: str, component: str, convention_name: str) -> int | None:
        """Return a figure in units of its convention; None if it is missing or the convention does not apply."""
        return self.cells[resolution].figures.get(component, {}).get(convention_name)

    def giga(self, resolution: str, component: str, convention_name: str) -> float | None:
        """Return the same in 10^9."""
        found = self.figure(resolution, component, convention_name)
        return None if found is None else found / 1e9


class Costs:
    """The counts of a study by row, resolution, component and convention."""

    def __init__(self, data: CostReportData) -> None:
        self.data = data
        self.study = data.study

    @cached_property
    def rows(self) -> list[CostRow]:
        """The rows in the study's order."""
        found: list[CostRow] = []
        for index, arm in enumerate(self.study.arms):
            for length in dict.fromkeys(cell.length for cell in self.data.cells if cell.arm == arm.name):
                cells = {c.resolution: c for c in self.data.cells if c.arm == arm.name and c.length == length}
                label = arm.title if length is None else f"{arm.title}, {length} tokens"
                found.append(CostRow(arm.name, index, label, cells))
        return found

    @property
    def resolutions(self) -> tuple[str, ...]:
        """The resolutions of the axis."""
        return self.study.axes.resolution

    def reference(self, row: CostRow) -> CostRow:
        """Return the reference arm's row that `row` is compared with: of the same length if there is one."""
        lengths = [c.length for c in row.cells.values()]
        of_arm = [other for other in self.rows if other.arm == self.study.reference_arm]
        same = [other for other in of_arm if [c.length for c in other.cells.values()] == lengths]
        return (same or of_arm)[0]

    def row(self, figure: PublishedCost) -> CostRow:
        """Return the first row of a published figure's arm."""
        return next(row for row in self.rows if row.arm == figure.arm)

    def convention_of(self, row: CostRow) -> str | None:
        """Return the convention that the arm's figures were published with, or those of models of its kind.

        That is the most frequent one of its own published figures; without any, of those of arms that are the same
        component at another size; without any, of the whole study. None if the study has no published figures.
        """
        published = [figure for figure in self.study.published if figure.convention != FULL]
        own = [figure.convention for figure in published if figure.arm == row.arm]
        alike = [figure.convention for figure in published if self._component(figure.arm) == self._component(row.arm)]
        names = own or alike or [figure.convention for figure in published]
        return max(names, key=names.count) if names else None

    def _component(self, arm: str) -> str:
        return str(self.data.cards[arm].config["name"])


def _cell(plan: CostPlan, index: int, cost: ModelCost | None) -> CostCellData:
    cell = plan.cells[index]
    work = cell.workload
    place = CostCellData(
        arm=cell.arm, length=cell.length, resolution=work.resolution, num_tokens=work.num_tokens, patch=work.patch
    )
    if cost is None:
        return place
    agreements = [part.coverage for part in cost.components if part.coverage is not None]
    return place.model_copy(
        update={
            "num_tokens": cost.workload.num_tokens or work.num_tokens,
            "num_parameters": cost.num_parameters,
            "weight_bytes": cost.weight_bytes,
            "kv_cache_bytes": cost.kv_cache_bytes,
            "figures": _figures(plan.study, cost),
            "parts": _parts(cost),
            "coverage": max(agreements, key=lambda share: abs(share - 1)) if agreements else None,
            "tool": cost.tool,
        }
    )


def _figures(study: CostStudy, cost: ModelCost) -> dict[str, dict[str, int]]:
    """Return component -> convention -> figure, of the study's conventions that apply to the model."""
    rules = [convention(name) for name in study.conventions if convention(name).applies_to(cost.kind)]
    return {
        component: {rule.name: rule.figure(cost, None if component == TOTAL else component) for rule in rules}
        for component in study.components
        if component == TOTAL or cost.component(component) is not None
    }


def _parts(cost: ModelCost) -> tuple[CostPart, ...]:
    """Return the parts of one use of a model: a tokenizer's components, or a generator's trunk and head."""
    per_mac = CONVENTIONS[FULL].per_mac
    sums: dict[str, list[int]] = {}
    for component in cost.components:
        for product in component.products if component.in_total else ():
            name = component.name
            if cost.kind == "generator":
                module = product.module.partition(".")[0]
                name = module if module in _GENERATOR_PARTS else "embeddings"
            sums.setdefault(name, [0, 0])[product.kind not in _LAYERS] += per_mac * product.macs
    ordered = sorted(sums, key=lambda name: _GENERATOR_PARTS.index(name) if name in _GENERATOR_PARTS else len(sums))
    return tuple(CostPart(name=name, linear=sums[name][0], other=sums[name][1]) for name in ordered)
