"""The controller of a search: ask a batch of trials, make their runs, tell what came of them, and so on.

A search is a function of its file and of the results of its runs. Trials are asked in batches of `search.parallel` and
told together in the order of their numbers, whichever ended first; the ledger is written after asking and after
telling. A controller that is killed in between finds the open batch in the ledger, and the runs go on from their
checkpoints: the trials end up the same as if nothing had happened. The price is that a batch waits for its slowest run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from vtbench.errors import NonFiniteLossError, RunsFailedError, StudyError
from vtbench.launch.local import only_controller
from vtbench.launch.reuse import Retry, is_done
from vtbench.schema.record import RunRecord
from vtbench.schema.search import SearchConfig, SearchLedger, Trial
from vtbench.schema.study import Study, StudyPlan
from vtbench.store.layout import Store
from vtbench.store.query import load_log_lines, load_record, save_plan
from vtbench.store.search import ledger_path, open_ledger, save_ledger
from vtbench.study.expand import expand
from vtbench.study.proposals import VERSION, Proposals
from vtbench.study.pruning import Decision, decide, logged_reports
from vtbench.study.search import num_trials
from vtbench.study.trials import fingerprint, objective_value, trial_plan

Unwanted = Callable[[str], bool]
"""Run id -> whether its trial is pruned."""
DIVERGED = NonFiniteLossError.__name__


class MakeRuns(Protocol):
    """Makes the runs of a plan, here or on a cluster, and returns when all have ended."""

    def __call__(self, plan: StudyPlan, unwanted: Unwanted) -> None:
        """Raise a `RunsFailedError` if some failed; `unwanted` says which to stop."""


@dataclass(frozen=True, kw_only=True)
class SearchRequest:
    """What is searched: a study at a profile.

    Attributes:
        study: as its file says, with its implicit arm.
        profile: name of one of its profiles.
        seeds: seeds 0 to seeds - 1 for each trial instead of the study's.
        overrides: config path -> value, of the command line.
    """

    study: Study
    profile: str
    seeds: int | None = None
    overrides: Mapping[str, Any] = field(default_factory=dict)

    @property
    def search(self) -> SearchConfig:
        """The study's search."""
        assert self.study.search is not None
        return self.study.search

    def base(self) -> StudyPlan:
        """Return the plan of the implicit arm."""
        return expand(self.study, self.profile, self.seeds, self.overrides)

    def plan(self, trials: Sequence[Trial]) -> StudyPlan:
        """Return the plan of some trials."""
        return trial_plan(self.study, self.profile, self.seeds, self.overrides, trials)


def run_search(
    store: Store,
    request: SearchRequest,
    make: MakeRuns,
    *,
    problem: Callable[[StudyPlan], str | None] = lambda plan: None,
    fresh: bool = False,
    retry: Retry = "all",
    on_told: Callable[[Trial], None] = lambda trial: None,
    on_wait: Callable[[str], None] = lambda text: None,
) -> SearchLedger:
    """Ask, make and tell trials until the search has all of them; return its ledger.

    Of several controllers of one search the first works and the others wait for it.

    Args:
        store: where runs lie.
        request: what to search.
        make: makes the runs of a batch.
        problem: says why the runs of a plan cannot work, or None; asked of each trial before it is made.
        fresh: begin the search again; whether runs train again is for `make`.
        retry: `none` takes trials whose run failed, for whatever reason, as failed; otherwise only training that
            diverged is an outcome, and all else stops the search until it is mended.
        on_told: told of each trial that ended.
        on_wait: told which process works at this search already.

    Raises:
        RunsFailedError: a run failed for a reason that is not its values' own; nothing of its batch is told.
        StoreError: the ledger is broken, or another version of Optuna wrote it.
        KeyboardInterrupt: asked to stop; the same call goes on.
    """
    base = request.base()
    with only_controller(ledger_path(store, base.id).with_suffix(".lock"), "search", on_wait):
        ledger = open_ledger(store, base.id, fingerprint(base), VERSION, fresh)
        proposals = Proposals(request.search)
        proposals.replay(ledger)
        wanted = num_trials(request.search, request.profile)
        while len(ledger.told) < wanted or len(ledger.told) < len(ledger.trials):
            if len(ledger.told) == len(ledger.trials):
                ledger = _ask(request, ledger, proposals, wanted, problem)
                save_ledger(store, base.id, ledger)
            _save_plan(store, request, ledger)
            batch = _Batch(store, request, ledger)
            told = batch.make(make, retry, fresh)
            ledger = ledger.model_copy(update={"trials": (*batch.earlier, *told)})
            for trial in told:
                proposals.tell(trial)
            save_ledger(store, base.id, ledger)
            for trial in told:
                on_told(trial)
        _save_plan(store, request, ledger)  # the study's words may be new where no trial is
    return ledger


def _save_plan(store: Store, request: SearchRequest, ledger: SearchLedger) -> None:
    if valid := [trial for trial in ledger.trials if trial.run_ids]:
        save_plan(store, request.plan(valid))


def _ask(
    request: SearchRequest,
    ledger: SearchLedger,
    proposals: Proposals,
    wanted: int,
    problem: Callable[[StudyPlan], str | None],
) -> SearchLedger:
    """Return the ledger with one more batch asked; a trial that makes no valid config has no runs."""
    number = len(ledger.trials)
    batch = ledger.trials[-1].batch + 1 if ledger.trials else 0
    asked = []
    for index in range(number, min(number + request.search.parallel, wanted)):
        trial = Trial(number=index, batch=batch, values=proposals.ask())
        try:
            plan = request.plan([trial])
            cause = problem(plan)
        except StudyError as error:
            cause = str(error)
        changes = {"cause": cause} if cause is not None else {"run_ids": tuple(cell.run_id for cell in plan.cells)}
        asked.append(trial.model_copy(update=changes))
    return ledger.model_copy(update={"trials": (*ledger.trials, *asked)})


class _Batch:
    """The trials that were asked and not told."""

    def __init__(self, store: Store, request: SearchRequest, ledger: SearchLedger) -> None:
        self._store, self._request = store, request
        self.earlier = ledger.told
        self._trials = {trial.number: trial for trial in ledger.trials if trial.state == "asked"}
        runnable = [trial for trial in self._trials.values() if trial.run_ids]
        self._plan = request.plan(runnable) if runnable else None
        self._decisions: dict[int, Decision] = {}

    def make(self, make: MakeRuns, retry: Retry, fresh: bool) -> list[Trial]:
        """Make the runs that are needed and return the trials as they are to be told, in order."""
        failure, plan = None, self._plan if fresh else self._needed()
        self._decisions.clear()
        if plan is not None:
            try:
                make(plan, self._unwanted)
            except RunsFailedError as error:
                failure = error
        told = [self._outcome(trial, retry) for trial in self._trials.values()]
        open_trials = [one for one in told if one.state == "asked"]
        if open_trials:
            names = ", ".join(trial.name for trial in open_trials)
            raise failure or RunsFailedError(f"{names}: not finished; the same command goes on.")
        return told

    def _needed(self) -> StudyPlan | None:
        """Return the plan of the runs that decide something: not those of trials whose outcome is known."""
        if self._plan is None:
            return None
        open_runs = {
            run_id
            for trial in self._trials.values()
            if self._outcome(trial, "all").state == "asked"
            for run_id in trial.run_ids
        }
        if not open_runs:
            return None
        return self._plan.part(open_runs)

    def _unwanted(self, run_id: str) -> bool:
        """Return whether every trial that a run belongs to is pruned."""
        if self._request.search.pruner.name == "none":
            return False
        return all(self._decide(trial).pruned for trial in self._trials.values() if run_id in trial.run_ids)

    def _decide(self, trial: Trial) -> Decision:
        """Return what the pruner says of a trial by what is logged now; it is asked only when there is more."""
        search = self._request.search
        assert self._plan is not None
        logs = [load_log_lines(self._store, run_id) for run_id in trial.run_ids]
        steps = self._plan.runs[trial.run_ids[0]].config.trained.steps
        reports = logged_reports(search.pruner, logs, steps)
        known = self._decisions.get(trial.number, Decision())
        if not known.pruned and known.reported != reports:
            known = self._decisions[trial.number] = decide(search, self.earlier, trial.number, reports, steps)
        return known

    def _outcome(self, trial: Trial, retry: Retry) -> Trial:
        """Return a trial with its outcome, or as it is if that is not known yet."""
        if not trial.run_ids:
            return trial.model_copy(update={"state": "failed"})
        assert self._plan is not None
        pruning = self._request.search.pruner.name != "none"
        decision = self._decide(trial) if pruning else Decision()
        seen: dict[str, Any] = {"reported": decision.reported, "rungs": dict(decision.rungs)}
        if decision.pruned:
            return trial.model_copy(update={"state": "pruned", **seen})
        records = [load_record(self._store, run_id) for run_id in trial.run_ids]
        if (cause := _failure(records, retry)) is not None:
            return trial.model_copy(update={"state": "failed", "cause": cause, **seen})
        done = [record for record in records if record is not None and is_done(self._plan, record)]
        if len(done) < len(records):
            return trial
        objectives = self._means(done)
        if objectives is None:
            return trial.model_copy(update={"state": "failed", "cause": "an objective has no value", **seen})
        return trial.model_copy(update={"state": "done", "objectives": objectives, **seen})

    def _means(self, records: Sequence[RunRecord]) -> tuple[float, ...] | None:
        """Return each objective's mean over the seeds; None if a value is missing."""
        assert self._plan is not None
        means = []
        for objective in self._request.search.objectives:
            values = [objective_value(self._plan, objective, record) for record in records]
            known = [value for value in values if value is not None]
            if len(known) < len(values):
                return None
            means.append(sum(known) / len(known))
        return tuple(means)


def _failure(records: Sequence[RunRecord | None], retry: Retry) -> str | None:
    """Return why a trial failed, if its failure is an outcome: training that diverged does so each time."""
    failed = [record for record in records if record is not None and record.status == "failed"]
    causes = [record.error for record in failed if record.error is not None]
    return next((error.message for error in causes if error.kind == DIVERGED or retry == "none"), None)
