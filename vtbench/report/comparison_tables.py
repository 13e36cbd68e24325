"""Tables of differences between arms: in short for the main metrics, in full for all, and image by image."""

from __future__ import annotations

import math
from collections.abc import Iterable

from vtbench.evaluate.statistics import Interval, holm
from vtbench.report.comparison import Comparison, against_reference, image_pair
from vtbench.report.image_pairs import ImagePair
from vtbench.report.metrics import NOT_COMPARED, PSNR, PSNR_GAIN, display, in_order
from vtbench.report.results import Point, Results, Row
from vtbench.report.tables import MISSING, NO_BREAK, NONE, Column, Table, signed, signed_places

NO_DIFFERENCE = "no difference shown"

_RULE = (
    "Arm minus reference, paired by seed and by image: mean [95 % interval]. * marks a difference that is shown:"
    " p < 0.05 after Holm's correction over the arms. The intervals themselves are not corrected."
)
_TEST_NOTE = (
    "Seeds are the outer level: the t-interval of the seeds' differences, widened by that over images (block jackknife"
    " for distances, the images' own differences for means; half-widths add up as squares), so it holds for other seeds"
    " and other images. p: two-sided, difference 0; Holm's correction is over the arms of one metric at one point."
)
_LIMIT_NOTE = (
    "In the limit of n: the difference without the bias that a distance has from few images, as the jackknife sees it"
    " [95 % interval]."
)
_IMAGES_NOTE = (
    "n = {n} images, each arm's differences to the reference averaged over the seeds first. This holds for other images"
    " and these weights; whether another training would agree, the tests above say."
)
_EFFECTS_NOTE = (
    "d: mean difference in standard deviations of the images' differences. Rank r: matched-pairs rank-biserial"
    " correlation, in [−1, 1]."
)
_ONE_SEED = (
    "Arm minus reference [95 % interval over images]. One seed: it holds for these weights, and says nothing of what"
    " another training would give, so no difference between the arms is claimed."
)


def compared_metrics(results: Results) -> list[str]:
    """Return the metrics in which arms are compared."""
    return [metric for metric in in_order(results.metrics) if metric not in {*NOT_COMPARED, PSNR_GAIN}]


def differences(results: Results) -> Table | None:
    """Return the paired differences of each arm to the reference arm, in the main metric and PSNR; None for one arm."""
    metrics = [metric for metric in dict.fromkeys([results.main_metric, PSNR]) if metric in results.metrics]
    places = [(metric, point) for metric in metrics for point in results.compared_points(metric)]
    found = [{each.row.label: each for each in against_reference(results, *at)} for at in places]
    compared = [row for row in results.rows if results.reference_of(row) not in (None, row)]
    if not compared:
        return None
    columns_of = list(zip(places, found, strict=True))
    rows = tuple(
        (row.label, *(_difference(results, row, at, all_of.get(row.label)) for (_, at), all_of in columns_of))
        for row in compared
    )
    columns = [Column("Arm", numeric=False), *(Column(at.label, display(name).heading) for name, at in places)]
    notes = [_RULE if len(results.plan.seeds) > 1 else _ONE_SEED, *_levels(each for f in found for each in f.values())]
    return Table(f"Difference to {results.reference_title}", tuple(columns), rows, tuple(notes))


def comparisons(results: Results) -> Table | None:
    """Return every comparison with the reference arm, with all that its test gives; None if there is none."""
    found = [
        each
        for metric in compared_metrics(results)
        for point in results.compared_points(metric)
        for each in against_reference(results, metric, point)
    ]
    if not any(each.estimate.known for each in found):
        return None
    with_limit = [each for each in found if _limit_is_known(results, each)]
    names = ["Metric", "At", "Arm"]
    numbers = [
        "Difference",
        "95 % interval",
        "Relative",
        "p",
        "p (Holm)",
        *(["In the limit of n"] if with_limit else []),
    ]
    columns = (*(Column(name, numeric=False) for name in names), *map(Column, numbers))
    columns = (*columns, Column("Holds for other", numeric=False), Column("Verdict", numeric=False))
    rows = tuple(
        (
            display(each.metric).label,
            each.point.label or "the run",
            each.row.label,
            signed(each.estimate.value),
            interval_text(each.estimate.interval),
            _percent(each.share),
            p_text(each.estimate.p_value),
            p_text(each.p_adjusted),
            *([_limit_text(each) if each in with_limit else NONE] if with_limit else []),
            each.over or NONE,
            verdict(each),
        )
        for each in found
    )
    return Table(
        f"Tests against {results.reference_title}", columns, rows, tuple(_test_notes(results, bool(with_limit)))
    )


def image_by_image(results: Results) -> Table | None:
    """Return what the images say of each arm against the reference arm, in metrics that are means over images."""
    rows: list[tuple[str, ...]] = []
    for metric in compared_metrics(results):
        for point in results.compared_points(metric):
            found = [(row, pair) for row in results.rows if (pair := _reference_pair(results, row, metric, point))]
            adjusted = holm([pair.p_value for _, pair in found])
            rows += [_image_row(row, pair, metric, point, p) for (row, pair), p in zip(found, adjusted, strict=True)]
    if not rows:
        return None
    names = ("Difference", "95 % (bootstrap)", "Images better", "d", "Rank r", "p (Wilcoxon, Holm)")
    columns = (*(Column(name, numeric=False) for name in ("Metric", "At", "Arm")), *map(Column, names))
    counts = sorted({pair.num_images for metric in compared_metrics(results) for pair in _pairs_of(results, metric)})
    return Table(
        f"Image by image against {results.reference_title}",
        columns,
        tuple(rows),
        (_IMAGES_NOTE.format(n=" or ".join(f"{count:,}" for count in counts)), _EFFECTS_NOTE),
    )


def _pairs_of(results: Results, metric: str) -> list[ImagePair]:
    return [pair for point in results.compared_points(metric) for pair in results.image_pairs(metric, point)]


def _difference(results: Results, row: Row, point: Point, found: Comparison | None) -> str:
    rows = (row, results.reference_of(row))
    return difference_text(found) if all(one is not None and results.is_asked(one, point) for one in rows) else NONE


def difference_text(found: Comparison | None) -> str:
    """Return `+mean [low, high]`, the mean starred if the difference is shown."""
    if found is None:
        return MISSING
    estimate = found.estimate
    if not estimate.known:
        return signed(estimate.value)
    places = signed_places((*estimate.interval, estimate.value))
    return f"{signed(estimate.value, places)}{'*' if found.claimed else ''} {interval_text(estimate.interval, places)}"


def interval_text(interval: Interval, places: int | None = None) -> str:
    """Return `[low, high]`, unbroken, or a dash where nothing is known."""
    if math.isnan(interval.low):
        return NONE
    shown = signed_places(interval) if places is None else places
    return f"[{signed(interval.low, shown)},{NO_BREAK}{signed(interval.high, shown)}]"


def p_text(p_value: float) -> str:
    """Return a p-value as it is usually written."""
    if math.isnan(p_value):
        return NONE
    return "<0.001" if p_value < 0.001 else f"{p_value:.3f}" if p_value < 0.1 else f"{p_value:.2f}"


def p_equals(p_value: float) -> str:
    """Return `p = 0.005`, or `p < 0.001`."""
    text = p_text(p_value)
    return f"p {text[0]} {text[1:]}" if text.startswith("<") else f"p = {text}"


def verdict(found: Comparison) -> str:
    """Return what may be said of a difference."""
    if found.num_seeds == 1:
        return "one seed"
    if math.isnan(found.p_adjusted):
        return NONE
    if not found.claimed:
        return NO_DIFFERENCE
    return {True: "better", False: "worse", None: "differs"}[found.is_better]


def _reference_pair(results: Results, row: Row, metric: str, point: Point) -> ImagePair | None:
    reference = results.reference_of(row)
    return None if reference is None or reference is row else image_pair(results, row, reference, metric, point)


def _image_row(row: Row, pair: ImagePair, metric: str, point: Point, p_adjusted: float) -> tuple[str, ...]:
    shown = display(metric)
    better = pair.share_lower if shown.lower_is_better else pair.share_higher
    interval = Interval(pair.low / shown.scale, pair.high / shown.scale)
    return (
        shown.label,
        point.label,
        row.label,
        signed(pair.difference / shown.scale),
        interval_text(interval),
        f"{100 * better:.0f} %",
        NONE if pair.standardised is None else signed(pair.standardised, 2),
        signed(pair.rank_biserial, 2),
        p_text(p_adjusted),
    )


def _limit_is_known(results: Results, found: Comparison) -> bool:
    counts = results.num_samples(found.metric)
    return found.at_limit is not None and bool(counts) and counts[0] >= display(found.metric).min_samples > 1


def _limit_text(found: Comparison) -> str:
    assert found.at_limit is not None
    places = signed_places((*found.at_limit.interval, found.at_limit.value))
    return f"{signed(found.at_limit.value, places)} {interval_text(found.at_limit.interval, places)}"


def _percent(share: float) -> str:
    return NONE if math.isnan(share) else f"{signed(100 * share, 1)}{NO_BREAK}%"


def _levels(found: Iterable[Comparison]) -> list[str]:
    """Return a note where intervals hold for less than other seeds and other images."""
    levels = {each.over for each in found if each.estimate.known and each.num_seeds > 1}
    if levels == {"seeds and images"} or not levels:
        return []
    if levels == {"seeds"}:
        return ["The intervals hold for other seeds on these images: what was kept of the images is gone."]
    return ["Some intervals hold for other seeds on these images only; the table of tests says which."]


def _test_notes(results: Results, with_limit: bool) -> tuple[str, ...]:
    first = _TEST_NOTE if len(results.plan.seeds) > 1 else _ONE_SEED
    return (first, _LIMIT_NOTE) if with_limit else (first,)
