"""The tables of a cost report, as text: figures, ratios, published figures beside our own, what the arms are."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from vtbench.report.cost_data import FULL, CostRow, Costs
from vtbench.report.metrics import number
from vtbench.report.tables import MISSING, NONE, Column, Table, signed
from vtbench.schema.base import canonical_json, parse_resolution
from vtbench.schema.convention import CONVENTIONS
from vtbench.schema.cost_study import TOTAL, PublishedCost

_COMPONENTS = {
    TOTAL: "One use of the model",
    "encode": "Encode",
    "quantize": "Quantise",
    "decode": "Decode",
    "forward": "One forward of the whole sequence",
    "prefill": "Prefill: the condition's position",
    "step": "One cached step, the last",
    "head": "The head, for one token",
    "sampling": "Sampling a whole image, with a cache",
    "sampling_cfg": "Sampling a whole image with guidance (two sequences), with a cache",
    "training_step": "A training step",
}
_USES = {"tokenizer": "encode, quantise and decode one image", "generator": "one forward of the whole sequence"}

AGREES = 0.01
"""Relative difference up to which a published figure counts as reproduced."""


@dataclass(frozen=True)
class PublishedRatio:
    """What published figures say of an arm against the reference arm, and what our counts say.

    Attributes:
        figure: the arm's published figure.
        reference: the reference arm's, at the same resolution and of the same component.
        recounted: the ratio of our counts, each under the convention of its published figure; None if missing.
        full: the ratio of our counts, both under `full`; None if missing.
    """

    figure: PublishedCost
    reference: PublishedCost
    recounted: float | None
    full: float | None

    @property
    def published(self) -> float:
        """The ratio of the published figures."""
        return self.figure.value / self.reference.value

    @property
    def holds(self) -> bool | None:
        """Whether the ratio stays the same, within 5 %, when both sides are counted in full."""
        return None if self.full is None else abs(self.full / self.published - 1) <= 0.05


def size(resolution: str) -> str:
    """Return `1024×1024` for `1024x1024`."""
    return resolution.replace("x", "×")


def short_size(resolution: str) -> str:
    """Return `256²` for `256x256`, and `256×512` for `256x512`."""
    height, width = parse_resolution(resolution)
    return f"{height}²" if height == width else size(resolution)


def times(ratio: float) -> str:
    """Return a ratio for a sentence, for example `17.4×`."""
    return f"{ratio:,.0f}×" if ratio >= 1000 else f"{ratio:.3g}×"


def unit(convention: str) -> str:
    """Return the heading of figures under a convention, for example `GFLOPs (full)`."""
    return f"G{CONVENTIONS[convention].unit} ({convention})"


def component_title(costs: Costs, component: str) -> str:
    """Return what a component is, in words; of `total`, what one use of the study's models is."""
    kinds = sorted({card.kind for card in costs.data.cards.values()})
    if component == TOTAL:
        return f"{_COMPONENTS[TOTAL]}: {' or '.join(_USES[kind] for kind in kinds)}"
    return _COMPONENTS.get(component, component)


def figures(costs: Costs, component: str) -> Table:
    """Return arm x (convention x resolution)."""

    def cell(row: CostRow, convention: str, resolution: str) -> str:
        return _giga(costs, row, convention, resolution, component)

    return _grid(costs, component_title(costs, component), unit, cell)


def ratios(costs: Costs, component: str) -> Table:
    """Return the same as multiples of the reference arm at the same resolution."""

    def cell(row: CostRow, convention: str, resolution: str) -> str:
        own = row.figure(resolution, component, convention)
        other = costs.reference(row).figure(resolution, component, convention)
        if own is None or not other:
            return _absent(row, resolution)
        return f"{number(own / other)}×"

    title = costs.study.arm(costs.study.reference_arm).title
    return _grid(costs, f"As multiples of {title}", lambda name: f"ratio ({name})", cell)


def published(costs: Costs) -> Table | None:
    """Return the published figures, each beside our count under its convention and under `full`; None without any."""
    if not costs.study.published:
        return None
    several = len({figure.component for figure in costs.study.published}) > 1
    rows = []
    for figure in costs.study.published:
        row = costs.row(figure)
        own = row.giga(figure.resolution, figure.component, figure.convention)
        what = f", {figure.component}" if several else ""
        rows.append(
            (
                f"{costs.study.arm(figure.arm).title}{what}",
                size(figure.resolution),
                f"{figure.value:,.10g}",
                unit(figure.convention),
                MISSING if own is None else number(own),
                MISSING if own is None else f"{signed(100 * (own / figure.value - 1), 2)} %",
                _giga(costs, row, FULL, figure.resolution, figure.component),
            )
        )
    columns = (
        Column("Arm", numeric=False),
        Column("Resolution"),
        Column("Published"),
        Column("It counts", numeric=False),
        Column("Ours, counted so"),
        Column("Difference"),
        Column(unit(FULL)),
    )
    sources = sorted({figure.source or costs.study.source for figure in costs.study.published})
    return Table("Published figures, and ours", columns, tuple(rows), (f"Published: {'; '.join(sources)}.",))


def published_ratios(costs: Costs) -> list[PublishedRatio]:
    """Return what the published figures say of arms against the reference arm."""
    by_place = {(f.arm, f.resolution, f.component): f for f in costs.study.published}
    found = []
    for figure in costs.study.published:
        reference = by_place.get((costs.study.reference_arm, figure.resolution, figure.component))
        if reference is None or figure.arm == reference.arm:
            continue
        own, other = costs.row(figure), costs.row(reference)
        place = (figure.resolution, figure.component)
        found.append(
            PublishedRatio(
                figure=figure,
                reference=reference,
                recounted=_ratio(own.figure(*place, figure.convention), other.figure(*place, reference.convention)),
                full=_ratio(own.figure(*place, FULL), other.figure(*place, FULL)),
            )
        )
    return found


def ratio_table(costs: Costs) -> Table | None:
    """Return the published ratios to the reference arm beside ours; None if there are none."""
    found = published_ratios(costs)
    if not found:
        return None
    rows = tuple(
        (
            costs.study.arm(one.figure.arm).title,
            size(one.figure.resolution),
            f"{number(one.published)}×",
            one.figure.convention
            if one.figure.convention == one.reference.convention
            else f"{one.figure.convention} over {one.reference.convention}",
            MISSING if one.recounted is None else f"{number(one.recounted)}×",
            MISSING if one.full is None else f"{number(one.full)}×",
            {True: "yes", False: "no", None: MISSING}[one.holds],
        )
        for one in found
    )
    columns = (
        Column("Arm", numeric=False),
        Column("Resolution"),
        Column("Published"),
        Column("It counts", numeric=False),
        Column("Ours, counted so"),
        Column("Ours (full)"),
        Column("Holds in full", numeric=False),
    )
    title = costs.study.arm(costs.study.reference_arm).title
    note = "A published ratio holds if the ratio under full is within 5 % of it."
    return Table(f"Published ratios to {title}, and ours", columns, rows, (note,))


def arms(costs: Costs) -> Table:
    """Return what each arm is: card, options, parameters, tokens, memory of its key-value cache."""
    cached = any(cell.kv_cache_bytes for cell in costs.data.cells)
    patches = any(cell.patch for cell in costs.data.cells)
    columns = [Column("Arm", numeric=False), Column("Model", numeric=False), Column("Parameters (M)")]
    lengths = costs.resolutions[:1]  # one column is enough if no arm's tokens depend on the size
    if any(len({cell.num_tokens for cell in row.cells.values()}) > 1 for row in costs.rows):
        lengths = costs.resolutions
    columns += [Column(short_size(at), "Tokens") if len(lengths) > 1 else Column("Tokens") for at in lengths]
    if patches:
        columns.append(Column("Forced patch"))
    if cached:
        columns.append(Column(short_size(costs.resolutions[-1]), "KV cache (MiB)"))
    rows = []
    for row in costs.rows:
        arm = costs.study.arm(row.arm)
        cells = [row.cells[resolution] for resolution in costs.resolutions]
        options = "".join(f", {name}: {canonical_json(value)}" for name, value in arm.set.items())
        first = cells[0].num_parameters
        values = [row.label, f"{arm.model}{options}", MISSING if first is None else number(first / 1e6)]
        values += [MISSING if cell.num_tokens is None else f"{cell.num_tokens:,}" for cell in cells[: len(lengths)]]
        if patches:
            values.append(NONE if cells[0].patch is None else str(cells[0].patch))
        if cached:
            values.append(NONE if not cells[-1].kv_cache_bytes else number(cells[-1].kv_cache_bytes / 2**20))
        rows.append(tuple(values))
    return Table("What the arms are", tuple(columns), tuple(rows), ("Batch 1.",))


def conventions(costs: Costs) -> Table:
    """Return what each convention of the study counts."""
    columns = (Column("Convention", numeric=False), Column("A figure under it is", numeric=False))
    rows = tuple((name, CONVENTIONS[name].description) for name in costs.study.conventions)
    return Table("Conventions", columns, rows)


def _grid(costs: Costs, title: str, group: Callable[[str], str], cell: Callable[[CostRow, str, str], str]) -> Table:
    places = [(name, resolution) for name in costs.study.conventions for resolution in costs.resolutions]
    columns = [Column("Arm", numeric=False), *(Column(short_size(at), group(name)) for name, at in places)]
    rows = tuple((row.label, *(cell(row, *place) for place in places)) for row in costs.rows)
    return Table(title, tuple(columns), rows)


def _giga(costs: Costs, row: CostRow, convention: str, resolution: str, component: str) -> str:
    value = row.giga(resolution, component, convention)
    return _absent(row, resolution) if value is None else number(value)


def _absent(row: CostRow, resolution: str) -> str:
    """Return what stands for a figure that is not there: not counted yet, or nothing that the convention counts."""
    return NONE if row.cells[resolution].figures else MISSING


def _ratio(own: int | None, other: int | None) -> float | None:
    return own / other if own is not None and other else None
