"""What came out, in words computed from the values; nothing is claimed that its interval does not support."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from vtbench.report.comparison import against_reference
from vtbench.report.comparison_tables import difference_text, p_equals, verdict
from vtbench.report.expectations import expectation_sentence
from vtbench.report.metrics import PSNR_GAIN, display, number
from vtbench.report.results import RUN, Point, Results
from vtbench.report.tables import sample_warnings, spread_text

MOST_LISTED, FIRST_LISTED = 40, 10
"""A sentence names so many arms or cells at most; of more it names the first."""


@dataclass(frozen=True)
class Findings:
    """The paragraph `what came out`: an introduction, one line a point, and closing remarks."""

    introduction: str
    points: tuple[tuple[str, str], ...]
    remarks: tuple[str, ...]


def findings(results: Results) -> Findings:
    """Return what came out of a study."""
    metric = results.main_metric
    shown = display(metric)
    seeds, counts = results.plan.seeds, results.num_samples(metric)
    better = {True: "lower is better", False: "higher is better", None: "no direction is better"}[shown.lower_is_better]
    images = f" on {' or '.join(f'{count:,}' for count in counts)} images" if counts else ""
    over = f"{len(seeds)} seeds (mean ± standard deviation)" if len(seeds) > 1 else "one seed"
    introduction = f"Arms in the order of {shown.label}, {better}, measured{images} with {over}:"
    points = tuple(
        (_place(results, point), _point(results, metric, point)) for point in results.compared_points(metric)
    )
    expected = [text] if (text := expectation_sentence(results)) else []
    remarks = [
        *expected,
        _statement_rule(results),
        *sample_warnings(results, metric),
        *_gain(results),
        *_missing(results),
    ]
    return Findings(introduction, points, tuple(remarks))


def _place(results: Results, point: Point) -> str:
    if point == RUN:
        return "Whole run"
    if point.route is not None:
        return point.label
    return f"{point.label} ({_trained(results, point)})"


def _trained(results: Results, point: Point) -> str:
    """Return whether a point's size is a training size, and of which arms if not of all."""
    rows = results.rows_trained_at(point.resolution or "")
    if not rows:
        return "not trained at"
    if len(rows) == len(results.rows):
        return "a training size"
    several = f"{len(rows)} of {len(results.rows)} arms"
    return f"a training size of {_listed([row.label for row in rows]) if len(rows) <= 3 else several} alone"


def _point(results: Results, metric: str, point: Point) -> str:
    """Return the arms in order at one point, and which differences to the reference arm may be claimed."""
    spreads = {row.label: results.spread(row, metric, point) for row in results.rows}
    sign = -1 if display(metric).lower_is_better is False else 1
    ranked = sorted(
        ((found.mean * sign, row) for row in results.rows if (found := spreads[row.label]) is not None),
        key=lambda item: item[0],
    )
    order = _listed([f"{row.label} {spread_text(spreads[row.label], len(row.runs))}" for _, row in ranked])
    parts = [f"{order}." if order else "No value."]
    missing = [row.label for row in results.rows if spreads[row.label] is None and results.is_asked(row, point)]
    if missing:
        parts.append(f"Missing: {_listed(missing)}.")
    if len(results.plan.seeds) > 1 and order:
        parts.append(_claims(results, metric, point))
    return " ".join(filter(None, parts))


def _claims(results: Results, metric: str, point: Point) -> str:
    found = against_reference(results, metric, point)
    shown = [
        f"{each.row.label} {difference_text(each).replace('*', '')}, {p_equals(each.p_adjusted)}, {verdict(each)}"
        for each in found
        if each.claimed
    ]
    not_shown = [each.row.label for each in found if not each.claimed]
    reference = results.reference_title
    parts = [f"Different from {reference}: {_listed(shown, '; ')}."] if shown else []
    if not_shown:
        parts.append(f"No difference to {reference} shown for {_listed(not_shown)}.")
    return " ".join(parts)


def _statement_rule(results: Results) -> str:
    if len(results.plan.seeds) == 1:
        return "One seed: no statement about differences between the arms."
    return (
        "A difference to the reference arm counts as shown where p < 0.05 after Holm's correction over the arms; it is"
        " tested over seeds and images together, paired by both. Intervals are 95 %, not corrected."
    )


def _gain(results: Results) -> list[str]:
    """Return the least gain in PSNR over the mean image, at trained and at other sizes."""
    if PSNR_GAIN not in results.metrics:
        return []
    parts = []
    for trained, where in ((True, "at sizes trained at"), (False, "at other sizes")):
        found = [
            (gain.mean, row.label, point.label)
            for row in results.rows
            for point in results.points_of(PSNR_GAIN)
            if results.is_trained(point) == trained and (gain := results.spread(row, PSNR_GAIN, point)) is not None
        ]
        if found:
            gain_db, label, place = min(found)
            parts.append(f"{number(gain_db)} dB {where} ({label}, {place})")
    return [f"The least gain in PSNR over the mean image is {' and '.join(parts)}."] if parts else []


def _missing(results: Results) -> list[str]:
    """Return a sentence that names the cells whose run is not done."""
    cells = [
        f"{row.label}, seed {seed} ({results.run_info[run_id].status})"
        for row in results.rows
        for seed, run_id in row.runs.items()
        if results.run_info[run_id].status != "done"
    ]
    return [f"Not done: {_listed(cells, '; ')}."] if cells else []


def _listed(texts: Sequence[str], separator: str = ", ") -> str:
    """Return texts in a row, of many the first ones and how many more there are; the tables have them all."""
    if len(texts) <= MOST_LISTED:
        return separator.join(texts)
    return f"{separator.join(texts[:FIRST_LISTED])} and {len(texts) - FIRST_LISTED:,} more"
