import pytest

from vtbench.errors import StoreError
from vtbench.launch.search import SearchRequest, run_search
from vtbench.report.search_data import SearchResults, TrialResult, gather_search, load_search_data
from vtbench.store.query import save_plan
from vtbench.study.expand import expand

PLAN = "small_search@tiny"
TWO = [
    ("{metric: psnr, direction: max}", "{metric: psnr, direction: max}, {metric: gflops, direction: min}"),
    ("pruner:", "#"),
]


def gathered(store, study, answer, folder, seeds=None):
    run_search(store, SearchRequest(study=study, profile="tiny", seeds=seeds), answer)
    return SearchResults(gather_search(store, PLAN, folder))


def test_what_is_gathered_is_read_back(make_search, store, answer, tmp_path):
    results = gathered(store, make_search(), answer, tmp_path / "out", seeds=2)
    assert load_search_data(tmp_path / "out") == results.data
    assert results.data.num_trials == len(results.data.results) == 5
    assert results.data.num_samples == (4,)
    first = results.data.results[0]
    assert len(first.by_seed[0]) == 2
    assert sum(first.by_seed[0]) / 2 == pytest.approx(first.trial.objectives[0])
    assert first.seconds == 4.0
    assert len(results.data.provenance) == 1


def test_the_best_comes_first_and_only_what_is_done_is_ranked(make_search, store, answer, tmp_path):
    results = gathered(store, make_search(("trials: 5", "trials: 9")), answer, tmp_path)
    values = [one.trial.objectives[0] for one in results.ranked()]
    assert values == sorted(values, reverse=True)
    assert {one.trial.state for one in results.ranked()} == {"done"}
    assert len(results.done) < 9


def test_the_front_has_what_no_other_beats(make_search, store, answer, tmp_path):
    results = gathered(store, make_search(*TWO), answer, tmp_path)
    assert results.data.num_samples == (4, None)
    template = results.done[0]

    def at(number, *objectives):
        return TrialResult(trial=template.trial.model_copy(update={"number": number, "objectives": objectives}))

    points = (at(0, 20.0, 1.0), at(1, 21.0, 2.0), at(2, 20.5, 2.0), at(3, 19.0, 1.0), at(4, 21.0, 2.0))
    results = SearchResults(results.data.model_copy(update={"results": points}))
    assert [one.trial.number for one in results.front()] == [0, 1, 4]


def test_a_plan_without_a_search_has_no_such_report(make_plan, store, tmp_path):
    plan = make_plan()
    with pytest.raises(StoreError, match="holds no search"):
        gather_search(store, plan.id, tmp_path)
    with pytest.raises(StoreError, match=r"data\.json is missing"):
        load_search_data(tmp_path / "none")


def test_a_search_that_has_told_nothing_has_a_report(make_search, store, tmp_path, answer):
    def stop(plan, unwanted):
        raise KeyboardInterrupt

    study = make_search()
    with pytest.raises(KeyboardInterrupt):
        run_search(store, SearchRequest(study=study, profile="tiny"), stop)
    save_plan(store, expand(study))
    results = SearchResults(gather_search(store, PLAN, tmp_path))
    assert [one.trial.state for one in results.data.results] == ["asked", "asked"]
    assert results.done == []
