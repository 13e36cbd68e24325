"""A study's results as tidy pandas DataFrames, for notebooks and analyses of one's own; needs no torch.

They come from the store if it holds the plan, else from the data of a committed report, which a fresh clone has too:
a report keeps all values, but thinned training curves and nothing of single images.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, final

import vtbench
from vtbench.errors import StoreError, suggest
from vtbench.report.gather import DATA_FILE, ReportData
from vtbench.report.gather import load as load_report
from vtbench.report.image_pairs import image_values
from vtbench.schema.generation import Sampling
from vtbench.schema.record import RunRecord
from vtbench.schema.study import Cell, StudyPlan
from vtbench.store import query
from vtbench.store.layout import Store, default_root

if TYPE_CHECKING:
    import pandas

DEFAULT_PROFILE = "tiny"
_REPORTS = Path("reports")
_VALUE_COLUMNS = ("metric", "resolution", "num_tokens", "route", "value", "num_samples", "protocol", "low", "high")
_SAMPLING_COLUMNS = tuple(Sampling.model_fields)
_IMAGE_COLUMNS = ("metric", "resolution", "num_tokens", "route", "image", "value")
Rows = list[dict[str, Any]]


@final
class StudyResults:
    """What a study found at one profile.

    Each table is made when it is first asked for. All have the columns `arm`, `title`, one for each axis, `seed` and
    `run_id`; a run that several arms share is there once for each.

    Attributes:
        plan: what was asked.
        source: the store's folder or the report's.
    """

    def __init__(self, plan: StudyPlan, source: Path, store: Store | None, report: ReportData | None) -> None:
        self.plan = plan
        self.source = source
        self._store = store
        self._report = report

    def __repr__(self) -> str:
        kind = "store" if self._store is not None else "report"
        return f"StudyResults({self.plan.id}, {len(self.plan.runs)} runs, from the {kind} {self.source.name})"

    @cached_property
    def runs(self) -> pandas.DataFrame:
        """A row a cell: `status` (`missing` without a record), `seconds`, `commit`, and what the arm costs.

        `num_parameters`, `training_flops` (forward and backward of all steps), `steps` and `images_seen` are counted.
        """
        status = self._status()
        facts = {_key(fact.arm, fact.coordinates): fact for fact in self.plan.facts}
        rows = []
        for cell in self.plan.cells:
            fact = facts.get(_key(cell.arm, cell.coordinates))
            counted = fact.model_dump(include=set(_COUNTED)) if fact is not None else dict.fromkeys(_COUNTED)
            rows.append({**self._head(cell), **status[cell.run_id], **counted})
        return self._frame(rows, ("status", "seconds", "commit", *_COUNTED))

    @cached_property
    def values(self) -> pandas.DataFrame:
        """A row for each cell, metric and point that the plan asks for: `value`, and `low` and `high` over images.

        Further columns: `metric`, `resolution`, `num_tokens` (missing: the model's full length), `route` (missing:
        input and output have that resolution), `num_samples`, and `protocol`, the fingerprint of how it was measured. A
        cell without values has no row. Studies of generators have `cfg_scale`, `top_k`, `top_p` and `temperature` too,
        missing where nothing was sampled.
        """
        by_run = self._values_of_report() if self._report is not None else self._values_of_store()
        rows = [{**self._head(cell), **row} for cell in self.plan.cells for row in by_run.get(cell.run_id, ())]
        sampled = any(row["cfg_scale"] is not None for row in rows)
        return self._frame(rows, (*_VALUE_COLUMNS, *(_SAMPLING_COLUMNS if sampled else ())))

    @cached_property
    def curves(self) -> pandas.DataFrame:
        """A row for each cell and logged step: `step`, and a column for each logged quantity."""
        by_run = {run_id: self._log(run_id) for run_id in self.plan.runs}
        rows = [{**self._head(cell), **row} for cell in self.plan.cells for row in by_run[cell.run_id]]
        names = dict.fromkeys(name for lines in by_run.values() for line in lines for name in line)
        return self._frame(rows, ("step", *(name for name in names if name != "step")))

    @cached_property
    def per_image(self) -> pandas.DataFrame:
        """A row for each cell, metric, point and measured image, where the store keeps them: `image`, `value`.

        `image` is the image's number in the evaluation, the same for all runs. Only metrics that are means over images
        have such values, and a report keeps none.
        """
        rows: Rows = []
        for cell in self.plan.cells if self._store is not None else ():
            for value in self._wanted(cell.run_id):
                assert self._store is not None
                numbers = image_values(self._store, cell.run_id, value) if "num_tokens" in value.params else None
                head = {**self._head(cell), "metric": value.name, **_point(value.params)}
                rows += [
                    {**head, "image": image, "value": float(number)}
                    for image, number in enumerate(numbers if numbers is not None else ())
                ]
        return self._frame(rows, _IMAGE_COLUMNS)

    @cached_property
    def _records(self) -> Mapping[str, RunRecord]:
        return query.load_records(self._store, self.plan) if self._store is not None else {}

    @cached_property
    def _titles(self) -> dict[str, str]:
        return {arm.name: arm.title for arm in self.plan.study.arms}

    @cached_property
    def _axes(self) -> list[str]:
        return list(dict.fromkeys([*self.plan.study.axes, *(p for cell in self.plan.cells for p in cell.coordinates)]))

    def _head(self, cell: Cell) -> dict[str, Any]:
        at = {path: cell.coordinates.get(path) for path in self._axes}
        return {"arm": cell.arm, "title": self._titles[cell.arm], **at, "seed": cell.seed, "run_id": cell.run_id}

    def _frame(self, rows: Rows, columns: tuple[str, ...]) -> pandas.DataFrame:
        import pandas

        return pandas.DataFrame(rows, columns=["arm", "title", *self._axes, "seed", "run_id", *columns])

    def _status(self) -> dict[str, dict[str, Any]]:
        if self._report is not None:
            return {
                run.run_id: {
                    "status": run.status,
                    "seconds": run.seconds,
                    "commit": run.provenance.commit if run.provenance is not None else None,
                }
                for run in self._report.runs
            }
        found: dict[str, dict[str, Any]] = {}
        for run_id in self.plan.runs:
            record = self._records.get(run_id)
            found[run_id] = {
                "status": record.status if record is not None else "missing",
                "seconds": sum(stage.seconds for stage in record.stages) if record is not None else 0.0,
                "commit": record.provenance.commit if record is not None else None,
            }
        return found

    def _wanted(self, run_id: str) -> list[Any]:
        record = self._records.get(run_id)
        return query.wanted(self.plan, record.metrics) if record is not None else []

    def _values_of_store(self) -> dict[str, Rows]:
        return {
            run_id: [
                {
                    "metric": value.name,
                    **_point(value.params),
                    **{name: value.params.get(name) for name in _SAMPLING_COLUMNS},
                    "value": value.value,
                    "num_samples": value.num_samples,
                    "protocol": value.protocol,
                    "low": value.interval[0] if value.interval else None,
                    "high": value.interval[1] if value.interval else None,
                }
                for value in self._wanted(run_id)
            ]
            for run_id in self.plan.runs
        }

    def _values_of_report(self) -> dict[str, Rows]:
        found: dict[str, Rows] = {}
        for value in self._report.values if self._report is not None else ():
            ends = dict(zip(("low", "high"), value.interval or (None, None), strict=True))
            fields = value.model_dump(include={name for name in _VALUE_COLUMNS if name not in ends})
            sampling = dict(value.sampling) if value.sampling is not None else dict.fromkeys(_SAMPLING_COLUMNS)
            found.setdefault(value.run_id, []).append({**fields, **ends, **sampling})
        return found

    def _log(self, run_id: str) -> Rows:
        if self._store is not None:
            return query.load_log_lines(self._store, run_id)
        curves = [curve for curve in self._report.curves if curve.run_id == run_id] if self._report is not None else []
        return [
            {"step": step, **{name: column[index] for name, column in curve.values.items()}}
            for curve in curves
            for index, step in enumerate(curve.steps)
        ]


_COUNTED = ("num_parameters", "training_flops", "steps", "images_seen")


def load(study: str, profile: str = DEFAULT_PROFILE, root: str | Path | None = None) -> StudyResults:
    """Return the results of a study at one profile; the tables are read when they are asked for.

    Args:
        study: its name.
        profile: at which scale; with values from the command line `PROFILE+HASH`, as `status` names it.
        root: a store's folder, or that of a report. None: the usual store if it holds the plan, else the committed
            report, below the current folder or in the checkout.

    Raises:
        StoreError: there is neither, or a file is broken.
    """
    plan_id = f"{study}@{profile}"
    if root is not None and (Path(root) / DATA_FILE).exists():
        return _from_report(Path(root), plan_id)
    store = Store(Path(root) if root is not None else default_root())
    if plan_id in (known := query.plan_ids(store)):
        return StudyResults(query.load_plan(store, plan_id), store.root, store, None)
    folder = study if profile == DEFAULT_PROFILE else f"{study}-{profile}"
    places = () if root is not None else (_REPORTS, Path(vtbench.__file__).resolve().parents[1] / _REPORTS)
    for place in places:
        if (place / folder / DATA_FILE).exists():
            return _from_report(place / folder, plan_id)
    reports = [path.parent.name for place in places for path in place.glob(f"*/{DATA_FILE}")]
    raise StoreError(
        f"There are no results of {plan_id}: neither in the store {store.root}"
        f"{f', nor a report {_REPORTS / folder}' if places else ''}.{suggest(plan_id, [*known, *reports])}"
        " `python -m vtbench run` makes them."
    )


def _from_report(folder: Path, plan_id: str) -> StudyResults:
    report = load_report(folder)
    if report.plan.id != plan_id:
        raise StoreError(f"{folder} is the report of {report.plan.id}, not of {plan_id}.")
    return StudyResults(report.plan, folder, None, report)


def _point(params: Mapping[str, Any]) -> dict[str, Any]:
    return {name: params.get(name) for name in ("resolution", "num_tokens", "route")}


def _key(arm: str, coordinates: Mapping[str, Any]) -> str:
    return json.dumps([arm, coordinates], sort_keys=True)
