import random

import pytest

from vtbench.errors import StoreError
from vtbench.schema.search import SearchLedger, Trial
from vtbench.study.proposals import VERSION, Proposals, importances

SAMPLER = "{name: tpe, seed: 3, num_startup_trials: 2}"
NUMBERS = [("{choices: [0.5, 1.0, 2.0]}", "{low: 0.5, high: 2.0}")]
GRID = [("log: true", "log: true, num_points: 4")]


def told(trial):
    """Return a trial with its outcome: a function of its values, sometimes pruned or failed."""
    rate, quantizer = trial.values["train.optimizer.learning_rate"], trial.values["losses.quantizer"]
    if trial.number % 5 == 3:
        return trial.model_copy(update={"state": "pruned", "reported": ((2, rate),)})
    if trial.number % 5 == 4:
        return trial.model_copy(update={"state": "failed"})
    return trial.model_copy(update={"state": "done", "objectives": (rate * 100 + quantizer,)})


def search_of(search, number, stop):
    """Run a search, thrown away and replayed from its ledger whenever `stop` says so."""
    ledger, proposals = SearchLedger(fingerprint="f", optuna=VERSION), Proposals(search)
    while len(ledger.trials) < number:
        batch = len(ledger.trials) // 2
        first = len(ledger.trials)
        asked = tuple(Trial(number=first + index, batch=batch, values=proposals.ask()) for index in range(2))
        ledger = ledger.model_copy(update={"trials": (*ledger.trials, *asked)})
        if stop():
            proposals = Proposals(search)
            proposals.replay(ledger)
        outcomes = tuple(map(told, asked))
        ledger = ledger.model_copy(update={"trials": (*ledger.trials[:first], *outcomes)})
        for trial in outcomes:
            proposals.tell(trial)
        if stop():
            proposals = Proposals(search)
            proposals.replay(ledger)
    return ledger


@pytest.mark.parametrize(
    ("sampler", "changes"),
    [
        ("{name: tpe, num_startup_trials: 4}", []),
        ("{name: random}", []),
        ("{name: cmaes}", NUMBERS),
        ("{name: grid}", GRID),
    ],
)
def test_a_search_that_is_replayed_at_any_moment_asks_the_same(make_search, sampler, changes):
    search = make_search((SAMPLER, sampler), *changes).search
    whole = search_of(search, 12, lambda: False)
    draw = random.Random(0)
    assert search_of(search, 12, lambda: draw.random() < 0.5) == whole
    values = [tuple(trial.values.items()) for trial in whole.trials]
    assert dict(values[0]) == {"losses.quantizer": 1.0, "train.optimizer.learning_rate": 1e-3}
    assert len(set(values)) >= 11
    other = search_of(
        search.model_copy(update={"sampler": search.sampler.model_copy(update={"seed": 8})}), 12, lambda: 0
    )
    assert other.trials[1:] != whole.trials[1:]


def test_a_grid_asks_each_point_once(make_search):
    search = make_search((SAMPLER, "{name: grid}"), *GRID, ("start:", "#"), ("trials: 5", "trials: 12")).search
    ledger = search_of(search, 12, lambda: False)
    assert len({tuple(trial.values.items()) for trial in ledger.trials}) == 12


def test_values_that_are_not_proposed_again_are_refused(make_search):
    search = make_search().search
    ledger = search_of(search, 4, lambda: False).model_copy(update={"optuna": "3.0"})
    changed = ledger.trials[2].model_copy(update={"values": {**ledger.trials[2].values, "losses.quantizer": 9.0}})
    ledger = ledger.model_copy(update={"trials": (*ledger.trials[:2], changed, ledger.trials[3])})
    with pytest.raises(StoreError, match=r"Trial 2 .* Optuna 3\.0; .*--fresh"):
        Proposals(search).replay(ledger)


def test_what_decides_the_value_is_important(make_search):
    search = make_search(*NUMBERS).search
    draw = random.Random(0)
    trials = []
    for number in range(30):
        values = {"losses.quantizer": draw.uniform(0.5, 2), "train.optimizer.learning_rate": draw.uniform(1e-4, 1e-2)}
        trial = Trial(
            number=number, batch=number, values=values, state="done", objectives=(values["losses.quantizer"],)
        )
        trials.append(trial)
    (shares,) = importances(search, trials)
    assert shares["losses.quantizer"] > 0.8
    assert sum(shares.values()) == pytest.approx(1)
    assert importances(search, trials[:1]) == [{}]
