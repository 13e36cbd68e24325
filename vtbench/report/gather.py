"""First half of a report: everything it needs, copied out of the store into a folder that can be committed.

`data.json` holds the plan, the values, the training curves (thinned) and where everything came from; `samples/` holds
the picture strips. The second half, `render`, reads nothing else of the study, so that a committed report can be
rendered again without the store.
"""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

from pydantic import Field

from vtbench.errors import StoreError
from vtbench.evaluate.kept_rows import point_name
from vtbench.report.image_pairs import ImagePair, image_pairs
from vtbench.schema.base import Frozen
from vtbench.schema.generation import Sampling
from vtbench.schema.record import Provenance, RunError, RunRecord
from vtbench.schema.study import Cell, StudyPlan
from vtbench.store import query
from vtbench.store.files import write_atomic
from vtbench.store.json_text import indented
from vtbench.store.layout import Store

DATA_VERSION = 1
DATA_FILE = "data.json"
SAMPLES_FOLDER = "samples"
MAX_CURVE_POINTS, FEWEST_CURVE_POINTS, ALL_CURVE_POINTS = 200, 20, 100_000
"""Of one run's curve, and of all runs together."""
ORIGINAL, RECONSTRUCTION = "original", "reconstruction"
SAMPLES, NEIGHBOURS = "samples", "neighbours"


class ReportValue(Frozen):
    """One value of one run; which cells of the plan it belongs to, the run's id says."""

    run_id: str
    metric: str
    resolution: str | None
    num_tokens: int | None
    route: str | None = None
    sampling: Sampling | None = None
    """How tokens were drawn, of a value of generated images."""
    value: float
    num_samples: int
    protocol: str
    interval: tuple[float, float] | None = None
    without_blocks: tuple[float, ...] = ()


class ReportRun(Frozen):
    """What became of a run; `status` is `missing` if it has no record."""

    run_id: str
    status: str
    seconds: float = 0.0
    provenance: Provenance | None = None
    error: RunError | None = None


class Curve(Frozen):
    """A run's training log, averaged over blocks of lines; a value that was not logged in a block is None."""

    run_id: str
    steps: tuple[int, ...]
    values: dict[str, tuple[float | None, ...]]


class Strip(Frozen):
    """A PNG of pictures, each of exactly `resolution`; `run_id` made it.

    Originals and reconstructions stand side by side; samples in rows, one a class; of neighbours the first row are
    samples, the second the training images nearest to them.
    """

    file: str
    kind: str
    run_id: str
    resolution: str
    num_tokens: int | None
    route: str | None = None
    sampling: Sampling | None = None


class ReportData(Frozen):
    """All that a report is made of, except the picture strips and the published figures."""

    schema_version: int = DATA_VERSION
    plan: StudyPlan
    runs: tuple[ReportRun, ...]
    values: tuple[ReportValue, ...]
    curves: tuple[Curve, ...]
    strips: tuple[Strip, ...]
    protocols: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Fields of the values' protocols by fingerprint, as far as the records hold them."""
    image_pairs: tuple[ImagePair, ...] = ()


def gather(
    store: Store, plan_id: str, out_dir: Path, drawn: Callable[[ReportData], Iterable[str]] | None = None
) -> ReportData:
    """Write `data.json` and `samples/` of a study into `out_dir`, replacing earlier ones.

    Args:
        store: where the study's plan, records, logs and pictures are.
        plan_id: `<study>@<profile>`.
        out_dir: the report's folder.
        drawn: told the data without curves, returns the runs that plots show: of very many runs only theirs are kept.

    Raises:
        StoreError: there is no such plan, or a file of the store is broken.
    """
    plan = query.load_plan(store, plan_id)
    records = query.load_records(store, plan)
    strips, files = _strips(store, plan)
    values = _values(plan, records)
    data = ReportData(
        plan=plan,
        runs=tuple(_run(run_id, records.get(run_id)) for run_id in plan.runs),
        values=values,
        curves=(),
        strips=strips,
        protocols=_protocols({value.protocol for value in values}, records),
        image_pairs=image_pairs(store, plan, records),
    )
    few = len(plan.runs) * MAX_CURVE_POINTS <= ALL_CURVE_POINTS
    curves = _curves(store, list(plan.runs if drawn is None or few else drawn(data)))
    data = data.model_copy(update={"curves": curves})
    _replace_samples(out_dir / SAMPLES_FOLDER, files)
    write_atomic(out_dir / DATA_FILE, layout(data))
    return data


def load(out_dir: Path) -> ReportData:
    """Return what `gather` wrote into `out_dir`.

    Raises:
        StoreError: there is no `data.json`, or it is broken or of a newer version.
    """
    path = out_dir / DATA_FILE
    if not path.exists():
        raise StoreError(f"{out_dir} holds no report: {DATA_FILE} is missing. `python -m vtbench report` makes one.")
    return query.load_versioned(path, ReportData)


def first_cells(plan: StudyPlan) -> list[Cell]:
    """Return the cell of the first seed of each arm and axis value, in the plan's order."""
    first: dict[str, Cell] = {}
    for cell in plan.cells:
        first.setdefault(json.dumps([cell.arm, cell.coordinates], sort_keys=True), cell)
    return list(first.values())


def _run(run_id: str, record: RunRecord | None) -> ReportRun:
    if record is None:
        return ReportRun(run_id=run_id, status="missing")
    return ReportRun(
        run_id=run_id,
        status=record.status,
        seconds=round(sum(stage.seconds for stage in record.stages), 1),
        provenance=record.provenance,
        error=record.error,
    )


def _values(plan: StudyPlan, records: Mapping[str, RunRecord]) -> tuple[ReportValue, ...]:
    """Return the plan's finite values, each run's once even if several cells share it."""
    found: dict[tuple[Any, ...], ReportValue] = {}
    for run_id in dict.fromkeys(cell.run_id for cell in plan.cells if cell.run_id in records):
        for value in query.wanted(plan, records[run_id].metrics):
            resolution, num_tokens = value.params.get("resolution"), value.params.get("num_tokens")
            route, point = value.params.get("route"), query.generation_point(value.params)
            made = ReportValue(
                run_id=run_id,
                metric=value.name,
                resolution=None if resolution is None else str(resolution),
                num_tokens=None if num_tokens is None else int(num_tokens),
                route=None if route is None else str(route),
                sampling=None if point is None else point.sampling,
                value=value.value,
                num_samples=value.num_samples,
                protocol=value.protocol,
                interval=value.interval,
                without_blocks=value.without_blocks,
            )
            place = (made.resolution, made.num_tokens, made.route, made.sampling)
            found.setdefault((run_id, made.metric, *place), made)
    return tuple(value for value in found.values() if math.isfinite(value.value))


def _protocols(fingerprints: set[str], records: Mapping[str, RunRecord]) -> dict[str, dict[str, Any]]:
    known = {name: fields for record in records.values() for name, fields in record.protocols.items()}
    return {name: known[name] for name in sorted(fingerprints) if name in known}


def _curves(store: Store, runs: Collection[str]) -> tuple[Curve, ...]:
    """Return the curves of runs; the more there are, the fewer points each keeps."""
    most_points = max(FEWEST_CURVE_POINTS, min(MAX_CURVE_POINTS, ALL_CURVE_POINTS // max(1, len(runs))))
    begun = query.begun_runs(store)
    curves = (_curve(name, query.load_log_lines(store, name), most_points) for name in runs if name in begun)
    return tuple(curve for curve in curves if curve is not None)


def _curve(run_id: str, lines: Sequence[Mapping[str, Any]], most_points: int) -> Curve | None:
    """Return the log as at most `most_points` means over blocks of lines, each at its block's last step."""
    if not lines:
        return None
    lines = sorted(lines, key=lambda line: int(line["step"]))
    names = dict.fromkeys(name for line in lines for name, value in line.items() if _is_number(value))
    names.pop("step", None)
    count = min(len(lines), most_points)
    edges = [round(index * len(lines) / count) for index in range(count + 1)]
    columns = {name: [line.get(name) for line in lines] for name in names}
    return Curve(
        run_id=run_id,
        steps=tuple(int(lines[end - 1]["step"]) for end in edges[1:]),
        values={
            name: tuple(_mean(column[begin:end]) for begin, end in pairwise(edges)) for name, column in columns.items()
        },
    )


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def _mean(values: Sequence[Any]) -> float | None:
    """Return the mean of what is known, with the digits that a plot can show."""
    if len(values) == 1:
        return _short(values[0]) if _is_number(values[0]) else None
    known = [value for value in values if _is_number(value) and not math.isnan(value)]
    return _short(sum(known) / len(known)) if known else None


def _short(number: float) -> float | None:
    """Return a number with six digits; None if it is not finite."""
    return float(f"{number:.6g}") if math.isfinite(number) else None


def _strips(store: Store, plan: StudyPlan) -> tuple[tuple[Strip, ...], dict[str, Path]]:
    """Return the strips of each arm's first seed (the originals once) and the files to copy, by their new name."""
    strips: dict[str, Strip] = {}
    files: dict[str, Path] = {}
    points = [(*place, length) for place in plan.evaluate.places for length in plan.evaluate.num_tokens]
    for cell, (resolution, route, num_tokens) in itertools.product(first_cells(plan), points):
        point = point_name(resolution, num_tokens, route)
        for kind in (ORIGINAL, RECONSTRUCTION):
            source = store.samples_dir(cell.run_id) / f"{point}_{kind}.png"
            name = f"{point}_{kind}.png" if kind == ORIGINAL else f"{point}_{kind}_{cell.run_id}.png"
            if name in strips or not source.exists():
                continue
            strips[name] = Strip(
                file=f"{SAMPLES_FOLDER}/{name}",
                kind=kind,
                run_id=cell.run_id,
                resolution=resolution,
                num_tokens=num_tokens,
                route=route,
            )
            files[name] = source
    for strip, source in _generated(store, plan):
        strips[strip.file] = strip
        files[Path(strip.file).name] = source
    return tuple(strips.values()), files


def _generated(store: Store, plan: StudyPlan) -> Iterator[tuple[Strip, Path]]:
    """Yield the pictures of each arm's first seed at the points that plots show, and where they are.

    Of the first way of sampling all sizes and lengths; of the others, of which there can be many, the first size at the
    last length.
    """
    config = plan.evaluate.generation
    for cell, point in itertools.product(first_cells(plan), () if config is None else config.points):
        assert config is not None
        usual = point.sampling == config.samplings[0]
        if not usual and (point.resolution, point.num_tokens) != (config.resolutions[0], config.num_tokens[-1]):
            continue
        for kind in (SAMPLES, NEIGHBOURS):
            source = store.samples_dir(cell.run_id) / f"{point.name}_{kind}.png"
            if (kind == SAMPLES or usual) and source.exists():
                yield (
                    Strip(
                        file=f"{SAMPLES_FOLDER}/{point.name}_{kind}_{cell.run_id}.png",
                        kind=kind,
                        run_id=cell.run_id,
                        resolution=point.resolution,
                        num_tokens=point.num_tokens,
                        sampling=point.sampling,
                    ),
                    source,
                )


def _replace_samples(folder: Path, files: Mapping[str, Path]) -> None:
    for name, source in files.items():
        write_atomic(folder / name, source.read_bytes(), sync=False)
    for old in folder.glob("*.png"):
        if old.name not in files:
            old.unlink()


def layout(data: Frozen) -> str:
    """Return JSON with one line for each item of the long lists, so that a diff of two reports can be read."""
    parts = []
    for key in type(data).model_fields:
        value = data.model_dump(mode="json", include={key})[key]
        if isinstance(value, list):
            items = ",\n".join(f"  {json.dumps(item, ensure_ascii=False)}" for item in value)
            parts.append(f' "{key}": [\n{items}\n ]' if value else f' "{key}": []')
        else:
            text = indented(value).replace("\n", "\n ")
            parts.append(f' "{key}": {text}')
    return "{\n" + ",\n".join(parts) + "\n}\n"
