"""The tables and sentences of a protocol study's report. A column is one protocol: it is read down, never across."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations, pairwise, permutations

from vtbench.report.metrics import decimals, display, number
from vtbench.report.protocol_data import Disagreement, MeasuredCell
from vtbench.report.tables import NO_BREAK, NONE, Column, Table, signed
from vtbench.schema.protocol_study import ProtocolArm


def values(found: Disagreement, metric: str) -> list[Table]:
    """Return two tables of a metric, degradation by protocol: the presets, and single changes of ours."""
    shown = display(metric)
    groups = (("presets", found.presets), ("one change of ours each", [found.canonical, *found.changes]))
    return [_values(found, metric, arms, f"{shown.heading}: {title}") for title, arms in groups if len(arms) > 1]


def _values(found: Disagreement, metric: str, arms: Sequence[ProtocolArm], title: str) -> Table:
    columns = (Column("Reconstructions", numeric=False), *(Column(arm.title) for arm in arms))
    rows = []
    for each in found.study.degradations:
        cells = [found.cell(arm.name, each.name, metric) for arm in arms]
        rows.append((each.title, *map(_cell_text, cells)))
    rows.append(("Protocol", *(found.fingerprint(arm, metric) or NONE for arm in arms)))
    notes = []
    if any(found.fingerprint(arm, metric) is None for arm in arms):
        notes.append(f"{NONE}: the references are other images, so that nothing can be paired.")
    notes.append(_count(found, metric))
    return Table(title, columns, tuple(rows), tuple(notes))


def _count(found: Disagreement, metric: str) -> str:
    """Return on how many images a metric was measured, with what its cells show."""
    cells = [cell for cell in found.data.values if cell.metric == metric]
    count, least = max(cell.num_samples for cell in cells), display(metric).min_samples
    shown = "; [95 % interval over images]" if any(cell.interval is not None for cell in cells) else ""
    few = f", fewer than the {least:,} at which the value means something beyond this table" if count < least else ""
    return f"n = {count:,} images{few}{shown}."


def distances(found: Disagreement) -> Table:
    """Return how far each arm's values are from the reference arm's."""
    degradations = found.study.degradations
    columns = [Column("Measured as", numeric=False)]
    columns += [Column(each.title, display(metric).title) for metric in found.metrics for each in degradations]
    rows = []
    for arm in found.study.arms:
        if arm is found.canonical:
            continue
        cells = [_difference(found, arm, metric, each.name) for metric in found.metrics for each in degradations]
        rows.append((arm.title, *(NONE if value is None else _signed(value) for value in cells)))
    note = "The same reconstructions throughout: every difference is the protocol's doing."
    return Table(f"Difference to {found.canonical.title}", tuple(columns), tuple(rows), (note,))


def _cell_text(cell: MeasuredCell | None) -> str:
    """Return a value with its interval over images."""
    if cell is None:
        return NONE
    if cell.interval is None:
        return number(cell.value)
    low, high = cell.interval
    places = decimals(cell.value)
    return f"{number(cell.value)} [{low:,.{places}f},{NO_BREAK}{high:,.{places}f}]"


def _signed(value: float) -> str:
    text = "0" if value == 0 else signed(value, max(2, decimals(value)))
    return text if any(digit in "123456789" for digit in text) or value == 0 else f"{value:+.0e}".replace("-", "−")


def _difference(found: Disagreement, arm: ProtocolArm, metric: str, degradation: str) -> float | None:
    ours, theirs = (found.value(one.name, degradation, metric) for one in (found.canonical, arm))
    return None if ours is None or theirs is None else theirs - ours


def arms(found: Disagreement) -> Table:
    """Return in which fields each arm's protocol differs from the reference arm's."""
    rows = []
    for arm in found.study.arms:
        parts = [f"{name}: {theirs}" for name, (_, theirs) in found.changed(arm).items() if name != "reference_key"]
        fallback = "the reference" if arm is found.canonical else NONE
        rows.append((arm.title, arm.preset, "; ".join(parts) or fallback))
    columns = tuple(Column(name, numeric=False) for name in ("Arm", "Preset", "Fields that differ"))
    return Table("What each arm does differently", columns, tuple(rows))


def findings(found: Disagreement) -> list[str]:
    """Return what the values say, in plain sentences."""
    if not found.data.values:
        return ["Nothing has been measured."]
    sentences = [sentence for metric in found.metrics for sentence in _of_metric(found, metric)]
    sentences += [f"{display(name).title} is missing: {why}" for name, why in found.data.left_out.items()]
    return sentences


def _of_metric(found: Disagreement, metric: str) -> list[str]:
    title = display(metric).title
    sentences = []
    middle = found.study.degradations[len(found.study.degradations) // 2]
    spread = _named(found, metric, middle.name, found.presets)
    if len(spread) > 1:
        (low, first), (high, last) = min(spread), max(spread)
        sentences.append(
            f"{title} of one set of reconstructions ({middle.title}) reads from {number(low)} ({first}) to"
            f" {number(high)} ({last}) under the presets{_in_steps(found, metric, high - low)}."
        )
    moved = [(arm, _difference(found, arm, metric, middle.name)) for arm in found.changes]
    ordered = sorted(((arm, by) for arm, by in moved if by), key=lambda pair: -abs(pair[1] or 0))
    if ordered:
        parts = "; ".join(f"{arm.title} {_signed(by or 0)}" for arm, by in ordered)
        sentences.append(f"What a change by itself does to it there: {parts}.")
    if (crossed := _crossed(found, metric)) is not None:
        sentences.append(crossed)
    return sentences


def _in_steps(found: Disagreement, metric: str, spread: float) -> str:
    """Return the spread as a share of the smallest step between neighbouring degradations under the reference arm."""
    ours = [found.value(found.canonical.name, each.name, metric) for each in found.study.degradations]
    known = sorted(value for value in ours if value is not None)
    steps = [after - before for before, after in pairwise(known) if after > before]
    if not steps:
        return ""
    share = 100 * spread / min(steps)
    shown = f"{share:,.0f}" if share >= 10 else f"{share:.2g}"
    return f", {shown} % of the smallest step between two of these sets"


def _named(found: Disagreement, metric: str, degradation: str, among: list[ProtocolArm]) -> list[tuple[float, str]]:
    pairs = [(found.value(arm.name, degradation, metric), arm.title) for arm in among]
    return [(value, title) for value, title in pairs if value is not None]


def _crossed(found: Disagreement, metric: str) -> str | None:
    """Return which comparisons across presets would take the more damaged images for the better ones."""
    shown = display(metric)
    sign = 1 if shown.lower_is_better else -1
    ours = {each: found.value(found.canonical.name, each.name, metric) for each in found.study.degradations}
    by_damage = sorted((sign * value, each.title, each) for each, value in ours.items() if value is not None)
    verdicts = []
    for (_, better, first), (_, worse, second) in combinations(by_damage, 2):
        for one, other in permutations(found.presets, 2):
            left, right = found.value(one.name, first.name, metric), found.value(other.name, second.name, metric)
            if left is not None and right is not None:
                text = f"{better} under {one.title} reads worse than {worse} under {other.title}"
                verdicts.append((sign * left > sign * right, text))
    wrong = [text for is_wrong, text in verdicts if is_wrong]
    if not verdicts:
        return None
    if not wrong:
        return f"No comparison of two presets' {shown.title} takes the more damaged images for the better ones here."
    return (
        f"{len(wrong)} of {len(verdicts)} comparisons of {shown.title} across presets take the more damaged images for"
        f" the better ones; for example, {wrong[0]}."
    )
