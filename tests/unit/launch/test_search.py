import os
import random
import signal
import time

import pytest

from vtbench.errors import RunsFailedError
from vtbench.launch.local import run_plan
from vtbench.launch.search import SearchRequest, run_search
from vtbench.store import search as ledgers
from vtbench.store.layout import Store
from vtbench.store.query import load_plan, load_record
from vtbench.store.search import load_ledger

PLAN = "small_search@tiny"
LONG = [("trials: 5", "trials: 13"), ("parallel: 2", "parallel: 3")]
WIDE = [("low: 1.0e-4, high: 1.0e-2", "low: 1.0e-6, high: 1.0")]

BREAKS = 0.00115
"""A learning rate between those of the first trials, which no pruner looks at: one of them fails."""


def request_of(study):
    return SearchRequest(study=study, profile="tiny")


def test_a_search_takes_all_its_trials_and_tells_them_in_order(make_search, store, answer):
    told = []
    ledger = run_search(store, request_of(make_search(*LONG)), answer, on_told=told.append)
    assert ledger == load_ledger(store, PLAN)
    assert tuple(told) == ledger.trials
    assert [trial.number for trial in told] == list(range(13))
    assert {trial.batch: 0 for trial in told}.keys() == set(range(5))
    assert {trial.state for trial in told} >= {"done", "pruned"}
    plan = load_plan(store, PLAN)
    assert [cell.arm for cell in plan.cells] == [trial.name for trial in told]
    again = []
    run_search(store, request_of(make_search(*LONG)), answer, on_told=again.append)
    assert again == []


def test_an_equal_trial_is_reused_and_more_trials_go_on(make_search, store, answer):
    first = run_search(store, request_of(make_search()), answer)
    made = len(answer.made)
    more = run_search(store, request_of(make_search(("trials: 5", "trials: 8"))), answer)
    assert more.trials[:5] == first.trials
    assert len(more.trials) == 8
    changed = make_search(
        ("trials: 5", "trials: 5\n  # the same runs are wanted by another search"), ("seed: 3", "seed: 4")
    )
    other = run_search(store, request_of(changed), answer)
    assert other.trials[0].run_ids == first.trials[0].run_ids
    assert first.trials[0].run_ids[0] in answer.made[:made]
    assert first.trials[0].run_ids[0] not in answer.made[made:]


def test_new_words_of_a_study_are_kept_without_a_new_trial(make_search, store, answer):
    run_search(store, request_of(make_search()), answer)
    made = len(answer.made)
    words = request_of(make_search(("question: ", "question: Put better, ")))
    run_search(store, words, answer)
    assert len(answer.made) == made
    assert load_plan(store, PLAN).study.question.startswith("Put better, ")


class Killed(BaseException):
    """What stands for kill -9 where only this process is to survive."""


def test_a_search_that_is_stopped_again_and_again_ends_the_same(make_search, tmp_path, answer, monkeypatch):
    request = request_of(make_search(*LONG, *WIDE))
    calm, wild = Store(tmp_path / "calm"), Store(tmp_path / "wild")
    expected = run_search(calm, request, lambda plan, unwanted: answer.at(calm, plan, BREAKS))
    assert {trial.state for trial in expected.trials} == {"done", "pruned", "failed"}
    draw, stops = random.Random(7), 0
    real = ledgers.write_atomic

    def sometimes(path, data, **options):
        if draw.random() < 0.3:
            raise Killed
        real(path, data, **options)
        if draw.random() < 0.3:
            raise Killed

    monkeypatch.setattr(ledgers, "write_atomic", sometimes)

    def make(plan, unwanted):
        answer.at(wild, plan, BREAKS)
        if draw.random() < 0.3:
            raise Killed

    while True:
        try:
            run_search(wild, request, make)
            break
        except Killed:
            stops += 1
    assert stops > 5
    assert load_ledger(wild, PLAN) == expected


@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*multi-threaded.*:DeprecationWarning")
def test_a_controller_that_is_killed_loses_and_repeats_nothing(make_search, tmp_path, store, answer):
    """kill -9 at random moments, of a process of its own."""
    request = request_of(make_search(*LONG, *WIDE))
    expected = run_search(store, request, answer)
    wild, draw, kills = Store(tmp_path / "wild"), random.Random(3), 0

    def slowly(plan, unwanted):
        time.sleep(0.2)  # five batches then take longer than the first wait, however fast the machine
        answer.at(wild, plan)

    for _ in range(40):
        child = os.fork()
        if child == 0:
            run_search(wild, request, slowly)
            os._exit(0)
        time.sleep(draw.uniform(0.05, 0.6))
        os.kill(child, signal.SIGKILL)
        kills += os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
        ledger = load_ledger(wild, PLAN)
        if ledger is not None and len(ledger.told) == 13:
            break
    run_search(wild, request, lambda plan, unwanted: answer.at(wild, plan))
    assert kills > 0
    assert load_ledger(wild, PLAN) == expected


def test_a_failure_that_is_not_the_values_own_tells_nothing(make_search, store, answer):
    request = request_of(make_search())

    def fails(plan, unwanted):
        answer(plan.model_copy(update={"runs": dict(list(plan.runs.items())[:1])}))
        raise RunsFailedError("no images")

    with pytest.raises(RunsFailedError, match="no images"):
        run_search(store, request, fails)
    assert load_ledger(store, PLAN).told == ()
    assert len(load_ledger(store, PLAN).trials) == 2
    answer.made.clear()
    run_search(store, request, answer)
    assert len(load_ledger(store, PLAN).told) == 5


def test_trials_that_make_no_config_are_told_without_a_run(make_search, store, answer):
    request = request_of(make_search())
    ledger = run_search(
        store, request, answer, problem=lambda plan: "odd" if plan.study.arms[0].name == "trial-001" else None
    )
    assert [trial.state for trial in ledger.trials][1] == "failed"
    assert ledger.trials[1].cause == "odd"
    assert ledger.trials[1].run_ids == ()
    assert len(load_plan(store, PLAN).cells) == 4


def test_fresh_begins_again_with_all_runs(make_search, store, answer):
    request = request_of(make_search())
    first = run_search(store, request, answer)
    number = len(answer.made)
    assert run_search(store, request, answer, fresh=True) == first
    assert len(answer.made) == 2 * number


@pytest.mark.slow
def test_a_pruned_worker_is_asked_to_end(make_plan, store):
    """The hook of the local launcher, with a real worker that would take minutes."""
    plan = make_plan(train__steps=100_000, train__log_every=1, train__checkpoint_every=50_000)
    run_id, *_ = plan.runs
    events = []
    run_plan(
        store, plan, store.plan_path(plan.id), [run_id], on_event=events.append, unwanted=lambda name: name == run_id
    )
    assert [event.kind for event in events if event.kind != "progress"] == ["started", "interrupted"]
    assert load_record(store, run_id).status == "interrupted"
    assert list(store.checkpoint_dir(run_id).glob("step-*.pt"))
