"""First half of a search's report: its `data.json`, with trials, values by seed, importances and provenance."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from vtbench.errors import StoreError
from vtbench.report.gather import DATA_FILE, DATA_VERSION, layout
from vtbench.schema.base import Frozen
from vtbench.schema.record import Provenance, RunRecord
from vtbench.schema.search import Objective, SearchConfig, Trial
from vtbench.schema.study import StudyPlan
from vtbench.store.files import write_atomic
from vtbench.store.layout import Store
from vtbench.store.query import load_plan, load_records, load_versioned, wanted
from vtbench.store.search import load_ledger
from vtbench.study.proposals import importances
from vtbench.study.search import num_trials
from vtbench.study.trials import objective_label, objective_point, objective_value


class TrialResult(Frozen):
    """A trial, and of each objective its values by seed (none unless it is done)."""

    trial: Trial
    by_seed: tuple[tuple[float, ...], ...] = ()
    seconds: float = 0.0
    """Of all stages of all its runs."""


class SearchReportData(Frozen):
    """All that a search's report is made of."""

    kind: Literal["search"] = "search"
    schema_version: int = DATA_VERSION
    plan: StudyPlan
    num_trials: int
    """How many the search takes when it is finished."""
    optuna: str
    results: tuple[TrialResult, ...]
    importances: tuple[dict[str, float], ...]
    """Of each objective, config path -> share."""
    num_samples: tuple[int | None, ...]
    """On how many images each objective was measured."""
    provenance: tuple[Provenance, ...]


def gather_search(store: Store, plan_id: str, out_dir: Path) -> SearchReportData:
    """Write the `data.json` of a search into `out_dir`, replacing an earlier one.

    Raises:
        StoreError: the plan has no search, or a file of the store is broken.
    """
    plan, ledger = load_plan(store, plan_id), load_ledger(store, plan_id)
    if ledger is None or plan.study.search is None:
        raise StoreError(f"{store.root}: {plan_id} holds no search; `python -m vtbench run` begins one.")
    records = load_records(store, plan)
    search = plan.study.search
    data = SearchReportData(
        plan=plan,
        num_trials=num_trials(search, plan.profile.name),
        optuna=ledger.optuna,
        results=tuple(_result(plan, trial, records) for trial in ledger.trials),
        importances=tuple(importances(search, ledger.trials)),
        num_samples=tuple(_num_samples(plan, objective, list(records.values())) for objective in search.objectives),
        provenance=_provenance(list(records.values())),
    )
    write_atomic(out_dir / DATA_FILE, layout(data))
    return data


def load_search_data(out_dir: Path) -> SearchReportData:
    """Return what `gather_search` wrote into `out_dir`; raises a `StoreError` if it did not, or the file is broken."""
    path = out_dir / DATA_FILE
    if not path.exists():
        raise StoreError(f"{out_dir} holds no report: {DATA_FILE} is missing. `python -m vtbench report` makes one.")
    return load_versioned(path, SearchReportData)


@dataclass(frozen=True)
class SearchResults:
    """A search's trials, seen by objective."""

    data: SearchReportData

    @property
    def search(self) -> SearchConfig:
        """The search's section of the study."""
        search = self.data.plan.study.search
        assert search is not None
        return search

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """What is optimised."""
        return self.search.objectives

    @property
    def paths(self) -> list[str]:
        """The config paths that are searched, in the file's order."""
        return list(self.search.space)

    @property
    def done(self) -> list[TrialResult]:
        """The trials that have values."""
        return [result for result in self.data.results if result.trial.state == "done"]

    def label(self, objective: Objective) -> str:
        """Return the objective with its point."""
        return objective_label(self.data.plan, objective)

    def ranked(self, number: int = 0) -> list[TrialResult]:
        """Return the trials that have values, the best in an objective first; of equals the earlier one."""
        sign = 1.0 if self.objectives[number].direction == "min" else -1.0
        return sorted(self.done, key=lambda result: (sign * result.trial.objectives[number], result.trial.number))

    def front(self) -> list[TrialResult]:
        """Return the Pareto front: trials that no other beats or equals in all objectives and beats in one."""
        signs = [1.0 if objective.direction == "min" else -1.0 for objective in self.objectives]
        points = {
            result.trial.number: [sign * value for sign, value in zip(signs, result.trial.objectives, strict=True)]
            for result in self.done
        }
        return [
            result
            for result in self.done
            if not any(_dominates(other, points[result.trial.number]) for other in points.values())
        ]


def _dominates(one: Sequence[float], other: Sequence[float]) -> bool:
    return one != other and all(a <= b for a, b in zip(one, other, strict=True))


def _result(plan: StudyPlan, trial: Trial, records: dict[str, RunRecord]) -> TrialResult:
    assert plan.study.search is not None
    of_trial = [records[run_id] for run_id in trial.run_ids if run_id in records]
    by_seed: list[tuple[float, ...]] = []
    for objective in plan.study.search.objectives if trial.state == "done" else ():
        values = [objective_value(plan, objective, record) for record in of_trial]
        by_seed.append(tuple(value for value in values if value is not None))
    seconds = sum(stage.seconds for record in of_trial for stage in record.stages)
    return TrialResult(trial=trial, by_seed=tuple(by_seed), seconds=round(seconds, 1))


def _num_samples(plan: StudyPlan, objective: Objective, records: Sequence[RunRecord]) -> int | None:
    """Return on how many images an objective was measured; None for what is counted."""
    point = objective_point(plan, objective)
    for record in records:
        for value in wanted(plan, record.metrics):
            at = value.params.get("resolution"), value.params.get("num_tokens")
            if value.name == objective.metric and at == point and objective.metric in plan.metrics:
                return value.num_samples
    return None


def _provenance(records: Sequence[RunRecord]) -> tuple[Provenance, ...]:
    """Return where records come from, without the times of day: what several runs have in common is there once."""
    found: list[Provenance] = []
    for record in records:
        made = record.provenance.model_copy(update={"started": record.provenance.started[:10], "finished": None})
        if made not in found:
            found.append(made)
    return tuple(found)
