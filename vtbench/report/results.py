"""The values of a study, seen as rows (arms) and points (resolution, length), with comparability checked."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from vtbench.report.gather import ReportData, ReportRun, ReportValue
from vtbench.report.image_pairs import ImagePair
from vtbench.report.metrics import PSNR, PSNR_GAIN, PSNR_MEAN_IMAGE, REAL, display
from vtbench.report.statistics import Spread, spread
from vtbench.schema.base import parse_resolution
from vtbench.schema.generation import Sampling
from vtbench.schema.protocol import require_same
from vtbench.study.expectations import sizes_of, training_sizes


@dataclass(frozen=True)
class Point:
    """Where something was measured; `num_tokens` None is the full length; no resolution: once a run.

    `route` is the name of the way to that size, where it is not encoding and decoding at it; `sampling` how the tokens
    of generated images were drawn.
    """

    resolution: str | None
    num_tokens: int | None
    route: str | None = None
    sampling: Sampling | None = None

    @property
    def label(self) -> str:
        """How tables and plots call it."""
        size = (self.resolution or "").replace("x", "×")
        if self.route is not None:
            size = f"{size} {self.route.replace('x', '×').replace('_', ' ')}"
        length = [] if self.num_tokens is None else [f"L={self.num_tokens}"]
        return ", ".join([*([size] if size else []), *length, *filter(None, [sampling_text(self.sampling)])])

    @property
    def side(self) -> float:
        """Side in pixels of the square of the same area."""
        if self.resolution is None:
            raise ValueError("a point without a resolution has no side")
        height, width = parse_resolution(self.resolution)
        return float((height * width) ** 0.5)


RUN = Point(None, None)
"""The point of values that a run has only once (parameters, memory)."""


MOST_COMPARED = 12
"""Points of one metric that tables of differences have columns for."""

MOST_DRAWN = 24
"""Lines, markers or rows of pictures that a reader can tell apart."""


@dataclass(frozen=True)
class Row:
    """An arm at some axis values: `runs` are its run ids by seed, `arm_index` its place in the study."""

    arm: str
    arm_index: int
    coordinates: dict[str, Any]
    label: str
    runs: dict[int, str]


class Results:
    """A study's values by row, metric and point.

    Raises:
        ProtocolError: values of one metric at one point were measured in different ways; says which fields differ.
    """

    def __init__(self, data: ReportData) -> None:
        self.data = data
        self.plan = data.plan
        self.rows = _rows(data)
        self.points = _points(data)
        self.run_info: dict[str, ReportRun] = {run.run_id: run for run in data.runs}
        self._values = {(value.run_id, value.metric, _place(value)): value for value in data.values}
        self._image_pairs: dict[tuple[str, Point], list[ImagePair]] = {}
        for pair in data.image_pairs:
            point = Point(pair.resolution, pair.num_tokens, pair.route)
            self._image_pairs.setdefault((pair.metric, point), []).append(pair)
        self._of_metric: dict[str, dict[Point, list[ReportValue]]] = {}
        for (_, metric, point), value in self._values.items():
            self._of_metric.setdefault(metric, {}).setdefault(point, []).append(value)
        self.against_reference: dict[tuple[str, Point], list[Any]] = {}
        """Comparisons that have been made, by metric and point; `vtbench.report.comparison` keeps them here."""
        self._num_samples: dict[str, list[int]] = {}
        self._references = {
            _coordinates(row): row for row in reversed(self.rows) if row.arm == self.plan.study.reference_arm
        }
        self._check_protocols()

    @cached_property
    def metrics(self) -> set[str]:
        """Names of all metrics that have a value, and those that the plan asks for."""
        real = {name for name in self._of_metric if name.endswith(REAL)}
        found = {*self._of_metric, *self.plan.metrics} - real
        if self.generates:  # the plan's other metrics are of tokenizers, which have no cell
            found = set(self._of_metric) - real or set(self.plan.metrics)
        return found | {PSNR_GAIN} if {PSNR, PSNR_MEAN_IMAGE} <= found else found

    @cached_property
    def generates(self) -> bool:
        """Whether the study's runs are of generators."""
        return bool(self.points) and all(point.sampling is not None for point in self.points)

    def real(self, metric: str, resolution: str) -> list[float]:
        """Return what validation images got in the place of samples at a size, scaled for display, each value once."""
        scale = display(metric).scale
        at = Point(resolution, None)
        return sorted({value.value / scale for value in self.values_of(metric + REAL, at)})

    @property
    def reference_title(self) -> str:
        """The title of the arm that the others are compared with."""
        study = self.plan.study
        return next(arm.title for arm in study.arms if arm.name == study.reference_arm)

    def reference_of(self, row: Row) -> Row | None:
        """Return the reference arm's row at the same axis values."""
        return self._references.get(_coordinates(row))

    @cached_property
    def main_metric(self) -> str:
        """The first distance that the plan asks for, or its first metric if it asks for none."""
        names = self.plan.metrics
        return next((name for name in names if display(name).is_distance), names[0])

    @cached_property
    def training_sizes(self) -> set[str]:
        """Input resolutions that any of the runs was trained at."""
        return training_sizes(self.plan)

    def is_trained(self, point: Point) -> bool:
        """Return whether any of the runs was trained to reconstruct at a point's size."""
        return point.route is None and point.resolution in self.training_sizes

    def rows_trained_at(self, resolution: str) -> list[Row]:
        """Return the rows whose runs were trained at a size."""
        configs = [(row, self.plan.runs[next(iter(row.runs.values()))].config) for row in self.rows]
        return [row for row, config in configs if resolution in sizes_of(config)]

    @cached_property
    def drawn_rows(self) -> list[Row]:
        """The rows that plots show: all, or of more than `MOST_DRAWN` the best one of each arm.

        The best has the best mean over the points of the main metric; without a value it is the arm's first.
        """
        if len(self.rows) <= MOST_DRAWN:
            return self.rows
        metric = self.main_metric
        sign = -1.0 if display(metric).lower_is_better is False else 1.0
        best: dict[str, tuple[float, Row]] = {}
        for row in self.rows:
            found = [self.spread(row, metric, point) for point in self.points_of(metric)]
            means = [one.mean for one in found if one is not None]
            rank = sign * sum(means) / len(means) if means else math.inf
            if row.arm not in best or rank < best[row.arm][0]:
                best[row.arm] = rank, row
        return [row for _, row in best.values()][:MOST_DRAWN]

    @property
    def drawn_runs(self) -> list[str]:
        """The runs of `drawn_rows`, each once."""
        return list(dict.fromkeys(run_id for row in self.drawn_rows for run_id in row.runs.values()))

    def points_of(self, metric: str) -> list[Point]:
        """Return the points at which a metric is shown: all of the plan's, or the run as a whole."""
        source = PSNR if metric == PSNR_GAIN else metric
        return [RUN] if RUN in self._of_metric.get(source, {}) else self.points

    def usual_points(self, metric: str) -> list[Point]:
        """Return those of `points_of` that have the first way of sampling, or none."""
        points = self.points_of(metric)
        first = next((point.sampling for point in points if point.sampling is not None), None)
        return [point for point in points if point.sampling in (None, first)]

    def compared_points(self, metric: str) -> list[Point]:
        """Return the points at which arms are compared: all, or of very many the usual ones."""
        points = self.points_of(metric)
        return points if len(points) <= MOST_COMPARED else self.usual_points(metric)

    def by_seed(self, row: Row, metric: str, point: Point) -> dict[int, float]:
        """Return seed -> value, scaled for display; seeds without a value are left out."""
        if metric == PSNR_GAIN:
            ours, mean = self.by_seed(row, PSNR, point), self.by_seed(row, PSNR_MEAN_IMAGE, point)
            return {seed: ours[seed] - mean[seed] for seed in ours if seed in mean}
        found = {seed: self._values.get((run_id, metric, point)) for seed, run_id in row.runs.items()}
        scale = display(metric).scale
        return {seed: value.value / scale for seed, value in found.items() if value is not None}

    def value(self, row: Row, seed: int, metric: str, point: Point) -> ReportValue | None:
        """Return a value as it is stored, or None if there is none."""
        return self._values.get((row.runs[seed], metric, point)) if seed in row.runs else None

    def image_pairs(self, metric: str, point: Point) -> list[ImagePair]:
        """Return the comparisons of arms over images in a metric at a point."""
        return self._image_pairs.get((metric, point), [])

    def is_asked(self, row: Row, point: Point) -> bool:
        """Return whether a row is measured at a point; a generator whose tokens stand on a grid has one size."""
        generator = self.plan.runs[next(iter(row.runs.values()))].config.generator
        generation = self.plan.evaluate.generation
        if generator is None or generation is None or point.resolution is None:
            return True
        return any(asked.resolution == point.resolution for asked in generator.points(generation))

    def spread(self, row: Row, metric: str, point: Point) -> Spread | None:
        """Return mean and spread over the seeds, or None if no seed has a value."""
        return spread(list(self.by_seed(row, metric, point).values()))

    def values_of(self, metric: str, point: Point | None = None) -> list[ReportValue]:
        """Return all values of a metric, at one point or at all."""
        known = self._of_metric.get(metric, {})
        return [value for at, values in known.items() if point is None or at == point for value in values]

    def num_samples(self, metric: str) -> list[int]:
        """Return on how many images a metric was measured, sorted; more than one number if points differ."""
        if metric not in self._num_samples:
            self._num_samples[metric] = sorted({value.num_samples for value in self.values_of(metric)})
        return self._num_samples[metric]

    def _check_protocols(self) -> None:
        columns: dict[tuple[str, Point], dict[str, str]] = {}
        for (run_id, metric, point), value in self._values.items():
            label = f"run {run_id}, {value.num_samples} samples"
            columns.setdefault((metric, point), {})[label] = value.protocol
        mend = "Run the study again to measure all runs in the same way (nothing is trained again)."
        for (metric, point), values in columns.items():
            place = f" at {point.label}" if point != RUN else ""
            require_same(f"{display(metric).title}{place}", values, self.data.protocols, mend)


def sampling_text(sampling: Sampling | None) -> str:
    """Return what is unusual in a way of drawing tokens, for example `CFG 2, top-k 64`; empty if nothing is."""
    if sampling is None:
        return ""
    parts = [f"CFG {sampling.cfg_scale:g}"] if sampling.cfg_scale != 1 else []
    parts += [f"top-k {sampling.top_k}"] if sampling.top_k is not None else []
    parts += [f"top-p {sampling.top_p:g}"] if sampling.top_p is not None else []
    parts += [f"temperature {sampling.temperature:g}"] if sampling.temperature != 1 else []
    return ", ".join(parts)


def _place(value: ReportValue) -> Point:
    return Point(value.resolution, value.num_tokens, value.route, value.sampling)


def _points(data: ReportData) -> list[Point]:
    """Return the points of the plan: of tokenizers where a cell has one, of generators where one has that."""
    plan, found = data.plan, []
    kinds = {plan.runs[cell.run_id].config.generator is not None for cell in plan.cells}
    if kinds != {True}:
        evaluate = plan.evaluate
        found += [Point(size, length, way) for size, way in evaluate.places for length in evaluate.num_tokens]
    if True in kinds and plan.evaluate.generation is not None:
        found += [Point(p.resolution, p.num_tokens, None, p.sampling) for p in plan.evaluate.generation.points]
    return found


def _coordinates(row: Row) -> str:
    return json.dumps(row.coordinates, sort_keys=True)


def _rows(data: ReportData) -> list[Row]:
    study = data.plan.study
    titles = {arm.name: (index, arm.title) for index, arm in enumerate(study.arms)}
    rows: dict[str, Row] = {}
    for cell in data.plan.cells:
        index, title = titles[cell.arm]
        axes = ", ".join(f"{axis.rpartition('.')[2]}={value}" for axis, value in cell.coordinates.items())
        label = f"{title}, {axes}" if axes else title
        key = json.dumps([cell.arm, cell.coordinates], sort_keys=True)
        row = rows.setdefault(key, Row(cell.arm, index, cell.coordinates, label, {}))
        row.runs[cell.seed] = cell.run_id
    return list(rows.values())
