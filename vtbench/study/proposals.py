"""What Optuna proposes, as a function of the sampler's seed and of all trials told before.

Trials are asked in batches and told in the order of their numbers, whichever ends first. Nothing of Optuna is stored:
its state is rebuilt by asking and telling all trials of the ledger again, which is exact for every sampler (their
random streams, CMA-ES's generations) and needs no pickles. What is asked again must be what the ledger says.
"""

from __future__ import annotations

import itertools
import json
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import optuna
from optuna.samplers import BaseSampler, CmaEsSampler, GridSampler, RandomSampler, TPESampler
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from vtbench.errors import StoreError
from vtbench.schema.base import canonical_json
from vtbench.schema.search import Direction, SearchConfig, SearchLedger, SearchParameter, Trial
from vtbench.study.search import grid_values, tidy

VERSION = str(optuna.__version__)


class Proposals:
    """The Optuna study behind a search; nothing of it outlives the process."""

    def __init__(self, search: SearchConfig) -> None:
        self._search = search
        self._open: dict[int, optuna.Trial] = {}
        self._space = dict(sorted(search.space.items()))  # the order in which a file names paths changes nothing
        with quiet():
            self._study = optuna.create_study(
                directions=[optuna_direction(objective.direction) for objective in search.objectives],
                sampler=_sampler(search, self._space),
                pruner=optuna.pruners.NopPruner(),
            )
            for point in search.start:
                self._study.enqueue_trial({path: _encoded(self._space[path], value) for path, value in point.items()})

    def ask(self) -> dict[str, Any]:
        """Return the values of the next trial: config path -> value."""
        with quiet():
            trial = self._study.ask()
            self._open[trial.number] = trial
            return {path: _suggest(trial, path, parameter) for path, parameter in self._space.items()}

    def tell(self, trial: Trial) -> None:
        """Tell what became of a trial that was asked.

        One that failed counts as one that was stopped with nothing to show, so that its neighbourhood is avoided.
        """
        asked = self._open.pop(trial.number)
        with quiet():
            if trial.state == "done":
                self._study.tell(asked, list(trial.objectives))
                return
            for step, value in trial.reported if trial.state == "pruned" else ():
                asked.report(self._sign * value, step)
            self._study.tell(asked, state=TrialState.PRUNED)

    def replay(self, ledger: SearchLedger) -> None:
        """Ask and tell all trials of a ledger again.

        Raises:
            StoreError: something else is proposed than the ledger says; another version of Optuna wrote it.
        """
        for _, members in itertools.groupby(ledger.trials, key=lambda trial: trial.batch):
            batch = list(members)
            for trial in batch:
                if not _same(self.ask(), trial.values):
                    raise StoreError(
                        f"Trial {trial.number} of this search was proposed by Optuna {ledger.optuna}; Optuna {VERSION}"
                        f" here proposes other values. Install optuna=={ledger.optuna} to go on, or begin the search"
                        " again with --fresh."
                    )
            for trial in batch:
                if trial.state != "asked":
                    self.tell(trial)

    @property
    def _sign(self) -> float:
        """What turns a value of the log into one for the study's direction."""
        return 1.0 if self._search.pruner.direction == self._search.objectives[0].direction else -1.0


def importances(search: SearchConfig, trials: Sequence[Trial]) -> list[dict[str, float]]:
    """Return path -> importance for each objective (PED-ANOVA, which needs nothing but Optuna), the largest first.

    Empty for an objective with too few trials or always the same value. Shares sum to 1.
    """
    space = dict(sorted(search.space.items()))
    distributions = {path: _distribution(parameter) for path, parameter in space.items()}
    done = [trial for trial in trials if trial.state == "done"]
    found: list[dict[str, float]] = []
    for number, objective in enumerate(search.objectives):
        values = [trial.objectives[number] for trial in done]
        if len(set(values)) < 2:
            found.append({})
            continue
        with quiet():
            study = optuna.create_study(direction=optuna_direction(objective.direction))
            study.add_trials([_frozen(trial, number, distributions, space) for trial in done])
            evaluator = optuna.importance.PedAnovaImportanceEvaluator()
            found.append(
                {k: float(v) for k, v in optuna.importance.get_param_importances(study, evaluator=evaluator).items()}
            )
    return found


@contextmanager
def quiet() -> Iterator[None]:
    """Keep Optuna from printing each trial, and from warning of what is still experimental in some versions."""
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(optuna.logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        optuna.logging.set_verbosity(before)


class _AskedGrid(GridSampler):
    """Optuna's grid without its end: asking and telling has no loop that it could stop."""

    def after_trial(
        self, study: optuna.Study, trial: FrozenTrial, state: TrialState, values: Sequence[float] | None
    ) -> None:
        """Do nothing."""


def _sampler(search: SearchConfig, space: dict[str, SearchParameter]) -> BaseSampler:
    config = search.sampler
    startup = config.num_startup_trials
    match config.name:
        case "tpe":
            # trials of one batch count as poor ones until they are told, so that they spread out
            return TPESampler(seed=config.seed, constant_liar=True, n_startup_trials=10 if startup is None else startup)
        case "cmaes":
            return CmaEsSampler(
                seed=config.seed, warn_independent_sampling=False, n_startup_trials=1 if startup is None else startup
            )
        case "grid":
            values = {path: [_encoded(p, value) for value in grid_values(p)] for path, p in space.items()}
            return _AskedGrid(values, seed=config.seed)
        case "random":
            return RandomSampler(seed=config.seed)


def _suggest(trial: optuna.Trial, path: str, parameter: SearchParameter) -> Any:
    if parameter.choices is not None:
        return json.loads(str(trial.suggest_categorical(path, _texts(parameter))))
    low, high = parameter.ends[0], parameter.ends[-1]
    if parameter.type == "int":
        return trial.suggest_int(path, low, high, step=int(parameter.step or 1), log=parameter.log)
    return tidy(parameter, trial.suggest_float(path, low, high, step=parameter.step, log=parameter.log))


def _distribution(parameter: SearchParameter) -> Any:
    if parameter.choices is not None:
        return optuna.distributions.CategoricalDistribution(_texts(parameter))
    low, high = parameter.ends[0], parameter.ends[-1]
    if parameter.type == "int":
        return optuna.distributions.IntDistribution(low, high, log=parameter.log, step=int(parameter.step or 1))
    return optuna.distributions.FloatDistribution(float(low), float(high), log=parameter.log, step=parameter.step)


def _texts(parameter: SearchParameter) -> list[str]:
    """Return the choices as Optuna takes them, whatever their type: as JSON."""
    return [canonical_json(choice) for choice in parameter.choices or ()]


def _encoded(parameter: SearchParameter, value: Any) -> Any:
    """Return a value as Optuna takes it."""
    if parameter.choices is not None:
        return canonical_json(value)
    return value if parameter.type == "int" else float(value)


def _frozen(
    trial: Trial, objective: int, distributions: dict[str, Any], space: dict[str, SearchParameter]
) -> FrozenTrial:
    return optuna.create_trial(
        value=trial.objectives[objective],
        params={path: _encoded(space[path], value) for path, value in trial.values.items()},
        distributions=distributions,
    )


def _same(proposed: dict[str, Any], stored: dict[str, Any]) -> bool:
    return canonical_json(proposed) == canonical_json(stored)


def optuna_direction(direction: Direction) -> StudyDirection:
    """Return a direction as Optuna calls it."""
    return StudyDirection.MINIMIZE if direction == "min" else StudyDirection.MAXIMIZE
