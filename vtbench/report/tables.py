"""The tables of a report, as text: measurements, fairness, runs, protocols."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from itertools import groupby

from vtbench.report.comparison import winners
from vtbench.report.metrics import (
    COST,
    ENOUGH_FOR_DISTANCES,
    GFLOPS,
    NOT_COMPARED,
    PSNR,
    PSNR_GAIN,
    PSNR_MEAN_IMAGE,
    decimals,
    display,
    in_order,
    number,
)
from vtbench.report.results import RUN, Point, Results, Row
from vtbench.report.statistics import Spread, spread
from vtbench.schema.study import ArmFacts

MISSING, NONE = "missing", "–"
NO_BREAK = "\u00a0"
"""Keeps `± sd` and intervals whole where a narrow column breaks lines."""

MAX_VALUE_COLUMNS = 10
"""Metrics are packed into tables of at most this many columns of values (a metric is never split)."""

_WINNER_NOTE = "Bold: better than every other arm, p < 0.05 in each test after correction for all pairs of arms."
_ONE_SEED_NOTE = "One seed, so no spread over seeds; [95 % interval over images] where there is one."

CREDITS = {"icons": "OpenMoji, CC BY-SA 4.0"}
"""Data set -> credit that must stand under its pictures."""

GFLOPS_NOTE = (
    "GFLOPs (full): 2 × multiply-accumulate, attention included; the reconstruction of one image (encode, quantise and"
    " decode) at that resolution."
)


@dataclass(frozen=True)
class Column:
    """One column; neighbours with the same `group` share a heading."""

    name: str
    group: str = ""
    numeric: bool = True

    @property
    def full_name(self) -> str:
        """Name for formats without grouped headings."""
        return f"{self.group} {self.name}".strip()


@dataclass(frozen=True)
class Table:
    """A table of text cells: the first cell of a row is its heading; `marked` are cells (row, column) in bold."""

    title: str
    columns: tuple[Column, ...]
    rows: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...] = ()
    marked: frozenset[tuple[int, int]] = frozenset()

    @property
    def groups(self) -> list[tuple[str, int]]:
        """Group headings and how many columns each spans; empty if no column has one."""
        spans = [(name, len(list(members))) for name, members in groupby(column.group for column in self.columns)]
        return spans if any(name for name, _ in spans) else []


def credit(results: Results) -> str | None:
    """Return the credit that the pictures need, or None if no data set is known to ask for one."""
    names = {spec.config.data.name for spec in results.plan.runs.values()}
    return "; ".join(sorted({CREDITS[name] for name in names if name in CREDITS})) or None


def measurements(results: Results) -> list[Table]:
    """Return arm x (metric x point), packed into as few tables as the page's width allows."""
    packs: list[list[str]] = [[]]
    for metric in in_order(results.metrics - {PSNR_MEAN_IMAGE}):
        width = sum(len(results.points_of(name)) for name in [*packs[-1], metric])
        starts_cost = metric in COST and packs[-1] and packs[-1][-1] not in COST
        if packs[-1] and (width > MAX_VALUE_COLUMNS or starts_cost):
            packs.append([])
        packs[-1].append(metric)
    return [_measured(results, pack) for pack in packs if pack]


def _measured(results: Results, metrics: list[str]) -> Table:
    places = [(metric, point) for metric in metrics for point in results.points_of(metric)]
    columns = [Column("Arm", numeric=False)]
    columns += [Column(point.label, display(metric).heading) for metric, point in places]
    rows = [(row.label, *(_measured_cell(results, row, *place) for place in places)) for row in results.rows]
    if PSNR in metrics and results.values_of(PSNR_MEAN_IMAGE):
        rows.append(("Mean image (baseline)", *(_mean_image_cell(results, *place) for place in places)))
    title = ", ".join(display(metric).title for metric in metrics)
    marked = _marked(results, places)
    notes = [*_notes(results, metrics), *([_WINNER_NOTE] if marked else [])]
    return Table(title, tuple(columns), tuple(rows), tuple(notes), marked)


def _marked(results: Results, places: Sequence[tuple[str, Point]]) -> frozenset[tuple[int, int]]:
    """Return the cells of arms that beat every other one by test."""
    marked = set()
    for column, (metric, point) in enumerate(places, start=1):
        if metric in NOT_COMPARED:
            continue
        best = winners(results, PSNR if metric == PSNR_GAIN else metric, point)  # the gain differs by the same amounts
        marked |= {(index, column) for index, row in enumerate(results.rows) if row.label in best}
    return frozenset(marked)


def _measured_cell(results: Results, row: Row, metric: str, point: Point) -> str:
    if not results.is_asked(row, point):
        return NONE
    text = spread_text(results.spread(row, metric, point), len(row.runs))
    if len(row.runs) > 1:
        return text
    value = results.value(row, next(iter(row.runs)), metric, point)
    if value is None or value.interval is None:
        return text
    low, high = (bound / display(metric).scale for bound in value.interval)
    places = decimals(max(abs(low), abs(high)))
    return f"{text} [{low:,.{places}f},{NO_BREAK}{high:,.{places}f}]"


def _mean_image_cell(results: Results, metric: str, point: Point) -> str:
    values = [value.value for value in results.values_of(PSNR_MEAN_IMAGE, point)]
    found = spread(sorted(set(values)))
    return NONE if metric != PSNR or found is None else spread_text(found, found.num_seeds)


def spread_text(found: Spread | None, num_seeds: int) -> str:
    """Return `mean ± sd`, and `(2/3)` if only 2 of 3 seeds have a value; without ± if all seeds agree exactly."""
    if found is None:
        return MISSING
    text = number(found.mean)
    if found.sd:
        text += f" ±{NO_BREAK}{found.sd:,.{decimals(found.mean)}f}"
    return text if found.num_seeds == num_seeds else f"{text} ({found.num_seeds}/{num_seeds})"


def _notes(results: Results, metrics: list[str]) -> list[str]:
    """Return what a reader must know of the columns: seeds, images, conventions, warnings."""
    seeds = results.plan.seeds
    over = f"Mean ± standard deviation over {len(seeds)} seeds." if len(seeds) > 1 else _ONE_SEED_NOTE
    counts = {metric: results.num_samples(PSNR if metric == PSNR_GAIN else metric) for metric in metrics}
    counted = sorted({count for metric, found in counts.items() if metric not in (*COST, GFLOPS) for count in found})
    images = [count for count in counted if count > 1]
    notes = [over + (f" n = {' or '.join(f'{count:,}' for count in images)} images at each point." if images else "")]
    if GFLOPS in metrics:
        notes.append(GFLOPS_NOTE)
    if any(run.status != "done" for run in results.data.runs):
        notes.append(f"A cell that ends in (k/{len(seeds)}) has a value for k of {len(seeds)} seeds only.")
    for metric in metrics:
        notes += sample_warnings(results, metric)
    return notes


def sample_warnings(results: Results, metric: str) -> list[str]:
    """Return a warning if a metric was measured on too few images to mean what its name says."""
    shown = display(metric)
    counts = results.num_samples(metric)
    small = [count for count in counts if count < shown.min_samples]
    if not small:
        if shown.is_distance and counts and counts[0] < ENOUGH_FOR_DISTANCES:
            bias = "still above its limit, by an amount that depends on the arm; published values have 10,000 to 50,000"
            return [f"{shown.title}: n = {counts[0]:,} < {ENOUGH_FOR_DISTANCES:,}: {bias}."]
        return []
    what = "the distance is biased upward, compare arms only with each other"
    if not shown.is_distance:
        what = "too few images for the value to mean much"
    return [f"{shown.title}: n = {small[0]:,} < {shown.min_samples:,}: {what}."]


def signed(value: float, places: int | None = None) -> str:
    """Return a number with its sign, the minus as long as the plus."""
    return f"{value:+,.{decimals(value) if places is None else places}f}".replace("-", "−")


def signed_places(values: Iterable[float]) -> int:
    """Return how many decimals numbers are shown with that stand together."""
    return decimals(max(map(abs, values)))


def fairness(results: Results) -> Table | None:
    """Return what each arm costs in training, counted before anything ran, and where arms differ."""
    facts = results.plan.facts
    if not facts:
        return None
    columns = (
        Column("Arm", numeric=False),
        Column("Parameters (M)"),
        Column("Training FLOPs (10¹²)"),
        Column("Images seen"),
        Column("Steps"),
        Column("Latent tokens"),
    )
    labels = {(row.arm, str(row.coordinates)): row.label for row in results.rows}
    rows = tuple(
        (
            labels.get((fact.arm, str(fact.coordinates)), fact.arm),
            f"{fact.num_parameters / 1e6:.3f}",
            number(fact.training_flops / 1e12),
            f"{fact.images_seen:,}",
            f"{fact.steps:,}",
            fact.num_tokens,
        )
        for fact in facts
    )
    convention = "Training FLOPs: forward and backward of all steps, 2 × multiply-accumulate, attention included."
    return Table("What each arm is given", columns, rows, (_fairness_sentence(facts), convention))


def _fairness_sentence(facts: Sequence[ArmFacts]) -> str:
    """Return one sentence that says in what the arms differ, and by how much."""
    same, different = [], []
    measured: dict[str, Callable[[ArmFacts], float]] = {
        "parameters": lambda fact: fact.num_parameters,
        "training FLOPs": lambda fact: fact.training_flops,
        "images seen": lambda fact: fact.images_seen,
        "steps": lambda fact: fact.steps,
    }
    for name, read in measured.items():
        low, high = min(map(read, facts)), max(map(read, facts))
        if low == high:
            same.append(name)
        else:
            share = f"{100 * (high / low - 1):.2g} %" if low and high < 2 * low else f"{high / low:.2g}×" if low else ""
            different.append(f"{name} (the most has {share} {'more than' if '%' in share else ''} the least)")
    lengths = {fact.num_tokens for fact in facts}
    (same if len(lengths) == 1 else different).append("latent tokens")
    parts = [
        f"arms are equal in {_listed(same)}" if same else "",
        f"differ in {_listed(different)}" if different else "",
    ]
    text = " and ".join(filter(None, parts)).replace("  ", " ")
    return (text[0].upper() + text[1:] if same else f"Arms {text}") + "."


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def runs(results: Results) -> Table:
    """Return each cell with its run, its state and its time."""
    columns = tuple(Column(name, numeric=False) for name in ("Arm", "Seed", "Run", "Status"))
    rows = []
    for row in results.rows:
        for seed, run_id in row.runs.items():
            info = results.run_info[run_id]
            why = f": {info.error.kind}: {info.error.message}" if info.error is not None else ""
            rows.append((row.label, str(seed), run_id, info.status + why, f"{info.seconds:,.0f}"))
    return Table("Runs", (*columns, Column("Seconds")), tuple(rows))


def protocols(results: Results) -> Table:
    """Return the protocol fingerprints under which each metric was measured."""
    rows = []
    for metric in in_order(results.metrics - {PSNR_GAIN}):
        values = results.values_of(metric)
        fingerprints = ", ".join(sorted({value.protocol for value in values})) or MISSING
        points = [point.label for point in results.points_of(metric) if point != RUN]
        rows.append((display(metric).label, metric, ", ".join(points) or "the run", fingerprints))
    columns = tuple(Column(name, numeric=False) for name in ("Metric", "Id", "Measured at", "Protocol"))
    return Table("Protocols", columns, tuple(rows))
