import pytest

from vtbench.launch.search import SearchRequest, run_search
from vtbench.report.plots.search_trials import (
    search_drawings,
    search_front,
    search_history,
    search_importance,
    search_slices,
)
from vtbench.report.plots.style import styled
from vtbench.report.search_data import SearchResults, gather_search

TWO = [
    ("{metric: psnr, direction: max}", "{metric: psnr, direction: max}, {metric: gflops, direction: min}"),
    ("pruner:", "#"),
]


@pytest.fixture
def results_of(make_search, store, answer, tmp_path):
    def results_of(*changes):
        run_search(store, SearchRequest(study=make_search(*changes), profile="tiny"), answer)
        return SearchResults(gather_search(store, "small_search@tiny", tmp_path / "out"))

    return results_of


def test_the_history_rises_to_the_best(results_of):
    results = results_of(("trials: 5", "trials: 9"))
    (axes,) = search_history(results).figure.axes
    trials, so_far, crosses = axes.get_lines()
    assert list(trials.get_ydata()) == [one.trial.objectives[0] for one in results.done]
    best = list(so_far.get_ydata())
    assert best == sorted(best)
    assert best[-1] == results.ranked()[0].trial.objectives[0]
    assert len(crosses.get_xdata()) == 9 - len(results.done)


def test_the_front_is_drawn_through_its_trials_alone(results_of):
    results = results_of(*TWO)
    (axes,) = search_front(results).figure.axes
    assert sorted(axes.get_lines()[1].get_ydata()) == sorted(one.trial.objectives[0] for one in results.front())
    assert {text.get_text() for text in axes.texts} == {str(one.trial.number) for one in results.front()}
    assert search_front(results_of(("seed: 3", "seed: 4"))) is None


def test_bars_and_panels_are_the_searched_values(results_of):
    results = results_of()
    (axes,) = search_importance(results).figure.axes
    assert [label.get_text() for label in axes.get_yticklabels()][-1] == max(
        results.data.importances[0], key=results.data.importances[0].get
    )
    panels = [axes for axes in search_slices(results).figure.axes if axes.get_visible()]
    assert {axes.get_xlabel() for axes in panels} == {"optimizer.learning_rate", "quantizer"}
    assert all(len(axes.get_lines()) == len(results.done) for axes in panels)
    (rates,) = (axes for axes in panels if axes.get_xlabel() == "optimizer.learning_rate")
    assert "0.001" in [label.get_text() for label in rates.get_xticklabels()]


def test_nothing_is_drawn_before_a_trial_is_done(results_of):
    results = results_of()
    empty = SearchResults(results.data.model_copy(update={"results": (), "importances": ({},)}))
    assert search_drawings(empty) == {}
    assert search_importance(empty) is None
    with styled():
        assert {name: bool(drawing.png()) for name, drawing in search_drawings(results).items()} == {
            "search_history": True,
            "search_importance": True,
            "search_slices": True,
        }
