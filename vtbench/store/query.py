"""Reading the store: records, logs, progress, plans, and all values of a study as one tidy table."""

from __future__ import annotations

import json
import math
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from vtbench.errors import StoreError
from vtbench.schema.generation import GenerationPoint, Sampling
from vtbench.schema.record import MetricValue, RunRecord
from vtbench.schema.run import SCHEMA_VERSION
from vtbench.schema.study import Cell, StudyPlan, plan_id
from vtbench.store.files import read_json, read_lines, write_atomic
from vtbench.store.json_text import indented
from vtbench.store.layout import Store

if TYPE_CHECKING:
    import pandas  # a third of a second, which commands that make no table need not wait for

Model = TypeVar("Model", bound=BaseModel)


class _Named(BaseModel):
    model_config = ConfigDict(extra="ignore")

    name: str


@dataclass(frozen=True)
class Progress:
    """How far a running stage is; `rate` in steps a second, `time` in seconds since the epoch."""

    stage: str
    step: int
    total: int
    rate: float | None
    pid: int
    time: float

    def to_json(self) -> str:
        """Return the JSON that `load_progress` reads."""
        return json.dumps(asdict(self))


class _Needs(BaseModel):
    model_config = ConfigDict(extra="ignore")

    needs: tuple[str, ...] = ()


class PlanCells(BaseModel):
    """A plan without its configs: what there is to run. A plan of 10,000 runs is read in a fraction of the time."""

    model_config = ConfigDict(extra="ignore")

    schema_version: int
    study: _Named
    profile: _Named
    cells: tuple[Cell, ...]
    runs: dict[str, _Needs]
    overrides: dict[str, Any] = Field(default_factory=dict)

    @property
    def id(self) -> str:
        """As of the plan."""
        return plan_id(self.study.name, self.profile.name, self.overrides)

    @property
    def run_ids(self) -> list[str]:
        """The plan's runs, in the order of their first cells, tokenizers before the generators that need them."""
        return list(self.first_cells())

    def first_cells(self) -> dict[str, Cell]:
        """Return the first cell of each run; of a run that only others need, as `Cell.of_tokenizer`."""
        own = {cell.run_id: cell for cell in reversed(self.cells)}
        found: dict[str, Cell] = {}
        for cell in self.cells:
            for need in self.runs[cell.run_id].needs:
                if need in self.runs:
                    found.setdefault(need, own[need] if need in own else cell.of_tokenizer(need))
            found.setdefault(cell.run_id, cell)
        return found


def load_record(store: Store, run_id: str) -> RunRecord | None:
    """Return the record of a run, or None if it has none.

    Raises:
        StoreError: the file is broken or was written by a newer version of this package.
    """
    path = store.record_path(run_id)
    return load_versioned(path, RunRecord) if path.exists() else None


def load_records(store: Store, plan: StudyPlan) -> dict[str, RunRecord]:
    """Return the records of a plan's runs by run id; runs without a record are left out."""
    begun, found = begun_runs(store), {}
    for run_id, spec in plan.runs.items():
        if run_id in begun and (record := load_record(store, run_id)) is not None:
            # one spec in memory for both: it is the larger part of a record
            found[run_id] = record.model_copy(update={"spec": spec}) if record.spec == spec else record
    return found


def load_plan(store: Store, plan_id: str) -> StudyPlan:
    """Return the plan called `<study>@<profile>`.

    Raises:
        StoreError: there is no such plan, or its file is broken or of a newer version.
    """
    path = store.plan_path(plan_id)
    if not path.exists():
        raise StoreError(
            f"{store.root} holds no plan '{plan_id}'; it has {', '.join(plan_ids(store)) or 'none yet'}."
            " `python -m vtbench run` makes one."
        )
    return load_versioned(path, StudyPlan)


def load_cells(store: Store, plan_id: str) -> PlanCells:
    """Return what the plan called `<study>@<profile>` runs, without its configs; raises as `load_plan`."""
    try:
        return PlanCells.model_validate_json(store.plan_path(plan_id).read_bytes())
    except (OSError, ValidationError):
        plan = load_plan(store, plan_id)  # says what is wrong, if something is
    return PlanCells.model_validate(plan.model_dump())


def begun_runs(store: Store) -> set[str]:
    """Return the ids of all runs that have a folder; one look instead of one for each run."""
    try:
        return set(os.listdir(store.root / "runs"))
    except FileNotFoundError:
        return set()


def plan_ids(store: Store, study: str | None = None) -> list[str]:
    """Return the ids of all plans in a store, sorted; only those of one study, or this plan, if a name is given."""
    known = sorted(path.parent.name for path in (store.root / "studies").glob("*/plan.json"))
    return [name for name in known if study is None or study in (name, name.partition("@")[0])]


def save_plan(store: Store, plan: StudyPlan) -> None:
    """Write the plan under its id, replacing an earlier one."""
    write_atomic(store.plan_path(plan.id), dump(plan))


def load_log(store: Store, run_id: str) -> pandas.DataFrame:
    """Return the training log: a row a line, a column a value, `step` first; empty if nothing is logged yet.

    Raises:
        StoreError: a line that is not the last one is broken; the message names it.
    """
    import pandas

    rows = load_log_lines(store, run_id)
    return pandas.DataFrame(rows) if rows else pandas.DataFrame({"step": pandas.Series(dtype="int64")})


def load_log_lines(store: Store, run_id: str) -> list[dict[str, Any]]:
    """Return the lines of the training log; raises as `load_log`."""
    path = store.log_path(run_id)
    return [parse_log_line(path, number, line) for number, line in enumerate(read_lines(path), start=1)]


def parse_log_line(path: Path, number: int, line: str) -> dict[str, Any]:
    """Return one line of a training log; a `StoreError` names `path` and line `number` if it is not one."""
    try:
        row = json.loads(line)
    except json.JSONDecodeError as error:
        raise StoreError(f"{path}:{number}: not JSON ({error.msg}). Delete this line or run with --fresh.") from error
    if not isinstance(row, dict) or "step" not in row:
        raise StoreError(f"{path}:{number}: a line of a training log needs 'step'. Delete it or run with --fresh.")
    return row


def load_progress(store: Store, run_id: str) -> Progress | None:
    """Return how far a run is, or None if it has never told.

    Raises:
        StoreError: the file is broken.
    """
    path = store.progress_path(run_id)
    if not path.exists():
        return None
    try:
        return Progress(**read_json(path))
    except TypeError as error:
        raise StoreError(f"{path}: not a progress file ({error}). Delete it.") from error


def rows(plan: StudyPlan, records: Mapping[str, RunRecord]) -> pandas.DataFrame:
    """Return the values of a study as a tidy table, one row for each cell and value.

    Only values that the plan asks for are in it: runs are shared, and another study may have measured a run at other
    points. Of several measurements of the same thing the one on the plan's number of samples counts, then the newest
    version of the metric, then the one stored last.

    Args:
        plan: the study.
        records: run id -> record; missing ones are allowed.

    Returns:
        Columns `arm`, one for each axis (and other path that a cell sets), `seed`, `run_id`, `status`, `metric`,
        `resolution`, `num_tokens`, `value`, `num_samples`, `protocol`, `low`, `high`, `without_blocks`: the ends of the
        95 % interval over images (None where there is none) and what intervals of differences are made of. A cell
        without values is one row whose `value` is NaN; without a record its `status` is `missing`.
    """
    import pandas

    axes = list(dict.fromkeys([*plan.study.axes, *(path for cell in plan.cells for path in cell.coordinates)]))
    columns = ["arm", *axes, "seed", "run_id", "status", "metric", "resolution", "num_tokens", "value", "num_samples"]
    table: list[dict[str, Any]] = []
    for cell in plan.cells:
        record = records.get(cell.run_id)
        head = _head(cell, axes, record)
        values = wanted(plan, record.metrics) if record is not None else []
        table.extend({**head, **_value(value)} for value in values)
        if not values:
            table.append({**head, "metric": None, "value": math.nan})
    return pandas.DataFrame(table, columns=[*columns, "protocol", "low", "high", "without_blocks"])


def dump(model: BaseModel) -> str:
    """Return indented JSON of a schema type; numbers that are not finite stay what they are."""
    return indented(model.model_dump(mode="json")) + "\n"


def _head(cell: Cell, axes: list[str], record: RunRecord | None) -> dict[str, Any]:
    status = record.status if record is not None else "missing"
    coordinates = {axis: cell.coordinates.get(axis) for axis in axes}
    return {"arm": cell.arm, **coordinates, "seed": cell.seed, "run_id": cell.run_id, "status": status}


def _value(value: MetricValue) -> dict[str, Any]:
    return {
        "metric": value.name,
        "resolution": value.params.get("resolution"),
        "num_tokens": value.params.get("num_tokens"),
        "value": value.value,
        "num_samples": value.num_samples,
        "protocol": value.protocol,
        "low": value.interval[0] if value.interval else None,
        "high": value.interval[1] if value.interval else None,
        "without_blocks": value.without_blocks,
    }


def wanted(plan: StudyPlan, values: tuple[MetricValue, ...]) -> list[MetricValue]:
    """Return one value for each metric and point that the plan asks for; see `rows` for which."""
    evaluate, generation, places = plan.evaluate, plan.evaluate.generation, set(plan.evaluate.places)
    if generation is not None:
        places |= {(resolution, None) for resolution in generation.resolutions}
    generated = set() if generation is None else set(generation.points)
    best: dict[str, tuple[tuple[bool, int, int], MetricValue]] = {}
    for order, value in enumerate(values):
        params = value.params
        point = generation_point(params)
        if point is not None and point not in generated:
            continue
        if "resolution" in params and (params["resolution"], params.get("route")) not in places:
            continue
        if point is None and "num_tokens" in params and params["num_tokens"] not in evaluate.num_tokens:
            continue
        wanted_samples = evaluate.num_samples if point is None or generation is None else generation.num_samples
        key = json.dumps([value.name, sorted(params.items())])
        rank = (value.num_samples == wanted_samples, value.metric_version, order)
        if key not in best or rank > best[key][0]:
            best[key] = (rank, value)
    return [value for _, value in best.values()]


def generation_point(params: Mapping[str, str | int | float | None]) -> GenerationPoint | None:
    """Return the generation point that a value's `params` name; None of values of other things."""
    if not Sampling.model_fields.keys() <= params.keys():
        return None
    sampling = {name: params[name] for name in Sampling.model_fields}
    place = {"resolution": params["resolution"], "num_tokens": params["num_tokens"]}
    return GenerationPoint.model_validate({**place, "sampling": sampling})


def load_versioned(path: Path, model: type[Model]) -> Model:
    """Return the `model` that the JSON file `path` holds.

    Raises:
        StoreError: the file is broken, is not of this shape, or has a newer `schema_version`.
    """
    try:
        found = model.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        pass  # the slower way below says what is wrong
    else:
        if "schema_version" in found.model_fields_set and vars(found)["schema_version"] <= SCHEMA_VERSION:
            return found
    raw = read_json(path)
    version = raw.get("schema_version") if isinstance(raw, dict) else None
    if not isinstance(version, int):
        raise StoreError(f"{path}: no schema_version, so not a file of this store. Delete it or run with --fresh.")
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{path} has version {version}; this vtbench reads versions up to {SCHEMA_VERSION}."
            " Update vtbench to the one that wrote it."
        )
    try:
        return model.model_validate_json(json.dumps(raw))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(map(str, first["loc"])) or "the file"
        raise StoreError(f"{path}: {place}: {first['msg']}. Delete the file to have it made again.") from error
