"""What a cost study shows, in plain sentences computed from its counts."""

from __future__ import annotations

import math

from vtbench.report.cost_data import FULL, CostRow, Costs
from vtbench.report.cost_tables import AGREES, PublishedRatio, published_ratios, size, times
from vtbench.schema.base import parse_resolution
from vtbench.schema.cost_study import TOTAL

CONSTANT = 0.02
"""Relative difference up to which two costs count as the same."""


def findings(costs: Costs) -> list[str]:
    """Return the findings, the published figures first; one sentence about what is missing if anything is."""
    if any(not cell.figures for cell in costs.data.cells):
        count = sum(not cell.figures for cell in costs.data.cells)
        return [f"{count} of {len(costs.data.cells)} cells have not been counted yet: run `{run_command(costs)}`."]
    return [
        *_published(costs),
        *_published_ratio_sentences(costs),
        *_growth(costs),
        *_unseen(costs),
        *_components(costs),
    ]


def run_command(costs: Costs) -> str:
    """Return the command that counts a study and writes its report."""
    return f"python -m vtbench run {costs.study.path}"


def _published(costs: Costs) -> list[str]:
    differences = []
    for figure in costs.study.published:
        own = costs.row(figure).giga(figure.resolution, figure.component, figure.convention)
        if own is not None:
            differences.append((abs(own / figure.value - 1), figure))
    if not differences:
        return []
    close = [difference for difference, _ in differences if difference <= AGREES]
    worst, which = max(differences, key=lambda pair: pair[0])
    what = f"{costs.study.arm(which.arm).title} at {size(which.resolution)}"
    text = (
        f"{len(close)} of {len(differences)} published figures are reproduced within {_percent(AGREES)} by the"
        f" convention that they were counted with; the largest difference is {100 * worst:.1f} % ({what})."
    )
    return [text]


def _published_ratio_sentences(costs: Costs) -> list[str]:
    reference = costs.study.arm(costs.study.reference_arm).title
    return [_ratio_sentence(costs, one, reference) for one in published_ratios(costs) if one.full is not None]


def _ratio_sentence(costs: Costs, one: PublishedRatio, reference: str) -> str:
    arm, place = costs.study.arm(one.figure.arm).title, size(one.figure.resolution)
    own, other = one.figure.convention, one.reference.convention
    how = own if own == other else f"{own} for the one, {other} for the other"
    published, full = one.published, one.full if one.full is not None else one.published
    if abs(published - 1) <= CONSTANT and abs(full - 1) <= CONSTANT:
        return f"At {place} {arm} and {reference} cost the same, as published ({how}) and in full."
    told = f"By the published figures ({how}), at {place} {arm} costs {_compared(published, reference)}"
    if one.holds:
        return f"{told}; counted in full it is {times(_strength(full))}: the ratio holds."
    if abs(full - 1) <= CONSTANT:
        return f"{told}; counted in full they cost the same ({full:.3f}×): the difference is the counter's."
    if (full - 1) * (published - 1) < 0:
        return f"{told}; counted in full it costs {_compared(full, reference)}: the order turns round."
    change = "smaller" if _strength(full) < _strength(published) else "larger"
    return f"{told}; counted in full it is {times(_strength(full))}: the difference is {change}."


def _compared(ratio: float, reference: str) -> str:
    """Return a ratio in words, where it is small with what it saves in percent."""
    saved = _percent(1 - 1 / _strength(ratio))
    small = _strength(ratio) < 4
    if ratio >= 1:
        return f"{times(ratio)} as much as {reference}" + (f", which is thus {saved} cheaper" if small else "")
    return f"{times(1 / ratio)} less than {reference}" + (f" (saves {saved})" if small else "")


def _strength(ratio: float) -> float:
    """Return how far a ratio is from 1, the same for 2 and for 1/2."""
    return max(ratio, 1 / ratio)


def _growth(costs: Costs) -> list[str]:
    """Return how costs grow from the smallest to the largest resolution, and which arms change places on the way."""
    sizes = sorted(costs.resolutions, key=_pixels)
    if len(sizes) < 2:
        return []
    first, last = sizes[0], sizes[-1]
    constant: list[str] = []
    plateaus: dict[str, list[tuple[str, str]]] = {}
    growing: dict[str, list[str]] = {}
    for row in costs.rows:
        values = [row.figure(at, TOTAL, FULL) or math.nan for at in sizes]
        level = [at for at, value in zip(sizes, values, strict=True) if abs(value / values[0] - 1) <= CONSTANT]
        growth = times(values[-1] / values[0])
        if level == sizes:
            constant.append(row.label)
        elif len(level) > 1 and level == sizes[: len(level)]:
            plateaus.setdefault(level[-1], []).append((row.label, growth))
        else:
            growing.setdefault(growth, []).append(row.label)
    within = f"(within {_percent(CONSTANT)})"
    parts = [f"that of {_listed(constant)} stays the same throughout {within}"] if constant else []
    for end, found in plateaus.items():
        labels, growths = ([pair[index] for pair in found] for index in (0, 1))
        parts.append(
            f"that of {_listed(labels)} stays the same up to {size(end)} {within}, then grows {_listed(growths)}"
        )
    rises = [(_listed(labels), growth) for growth, labels in growing.items()]
    if rises:
        first_rise, *others = rises
        more = "".join(f", of {labels} {growth}" for labels, growth in others)
        parts.append(f"that of {first_rise[0]} grows {first_rise[1]}{more}")
    text = "; ".join(parts).replace("that of", "the cost of", 1)
    pixels = times(_pixels(last) / _pixels(first))
    return [
        f"From {size(first)} to {size(last)} the pixels grow {pixels}. In full {text}.",
        *_crossings(costs, first, last),
    ]


def _crossings(costs: Costs, first: str, last: str) -> list[str]:
    """Return the arms that are dearer than the reference arm at one end of the resolutions and cheaper at the other."""
    sentences = []
    for row in costs.rows:
        reference = costs.reference(row)
        ends = [
            own / other
            for at in (first, last)
            if (own := row.figure(at, TOTAL, FULL)) and (other := reference.figure(at, TOTAL, FULL))
        ]
        if len(ends) == 2 and min(ends) < 1 - CONSTANT and max(ends) > 1 + CONSTANT:
            sentences.append(
                f"In full {row.label} costs {times(ends[0])} {reference.label} at {size(first)} and {times(ends[1])} at"
                f" {size(last)}."
            )
    return sentences


def _unseen(costs: Costs) -> list[str]:
    """Return, for each other convention, how much of the full count it sees."""
    sentences = []
    for name in costs.study.conventions:
        shares = _shares(costs, name, TOTAL) if name not in (FULL, "macs") else []
        if shares:
            sentences.append(f"{name} sees {_range(shares)} of what full counts.")
    return sentences


def _components(costs: Costs) -> list[str]:
    """Return, for each component beside the total, how it compares with one use of the model, in full."""
    sentences = []
    for component in costs.study.components:
        shares = _shares(costs, FULL, component) if component != TOTAL else []
        if shares:
            what = component.replace("_", " ").capitalize()
            sentences.append(f"{what} costs {_range(shares)} of one use of the model, in full.")
    return sentences


def _shares(costs: Costs, convention: str, component: str) -> list[tuple[float, CostRow, str]]:
    """Return a component's figure under a convention over the full total, of each row and resolution that has both."""
    return [
        (own / full, row, resolution)
        for row in costs.rows
        for resolution in costs.resolutions
        if (own := row.figure(resolution, component, convention)) is not None
        and (full := row.figure(resolution, TOTAL, FULL))
    ]


def _percent(share: float) -> str:
    """Return a share in percent; what is nearly all is not called 100 %."""
    return f"{100 * share:.1f} %" if 0.995 <= share < 0.9995 else f"{100 * share:.0f} %"


def _range(shares: list[tuple[float, CostRow, str]]) -> str:
    """Return the least and the most of some shares, and where they are."""
    low, high = min(shares, key=_first), max(shares, key=_first)
    least, most = _percent(low[0]), _percent(high[0])
    return least if least == most else f"between {least} ({_place(low)}) and {most} ({_place(high)})"


def _first(share: tuple[float, CostRow, str]) -> float:
    return share[0]


def _place(share: tuple[float, CostRow, str]) -> str:
    return f"{share[1].label} at {size(share[2])}"


def _pixels(resolution: str) -> int:
    height, width = parse_resolution(resolution)
    return height * width


def _listed(names: list[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"
