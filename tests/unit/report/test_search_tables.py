import pytest

from vtbench.launch.search import SearchRequest, run_search
from vtbench.report.search_data import SearchResults, gather_search
from vtbench.report.search_tables import best, findings, importances, trials, values_text


@pytest.fixture
def results_of(make_search, store, answer, tmp_path):
    def results_of(*changes, seeds=None, broken=0.009):
        request = SearchRequest(study=make_search(*changes), profile="tiny", seeds=seeds)
        run_search(store, request, lambda plan, unwanted: answer.at(store, plan, broken))
        return SearchResults(gather_search(store, "small_search@tiny", tmp_path / "out"))

    return results_of


def test_the_sentences_say_what_came_out_and_how_little_it_proves(results_of):
    results = results_of(("trials: 5", "trials: 9"))
    sentences = findings(results)
    first = results.ranked()[0]
    assert sentences[0].startswith("9 of 9 trials, proposed by tpe (seed 3), 2 at a time: ")
    assert "pruned" in sentences[0]
    assert f"trial {first.trial.number} ({values_text(first)})" in sentences[1]
    assert sentences[2].startswith("Trial 0, given by the study: 19.")
    assert "1 seed each, is chosen for being" in sentences[-1]


def test_a_best_value_at_the_end_of_its_range_is_pointed_at(results_of):
    sentences = findings(results_of(("high: 1.0e-2", "high: 1.05e-3")))
    assert (
        "The best train.optimizer.learning_rate lies at the upper end of its range: better ones may lie beyond."
        in sentences
    )


def test_all_trials_are_shown_also_those_without_a_value(results_of):
    results = results_of(("trials: 5", "trials: 9"), seeds=2, broken=0.0015)
    table = trials(results)
    assert [row[0] for row in table.rows] == [str(number) for number in range(9)]
    by_state = {one.trial.state: row for one, row in zip(results.data.results, table.rows, strict=True)}
    assert by_state["failed"][1] == by_state["pruned"][1] == "–"
    assert by_state["failed"][-1] == "failed: training broke at step 3"
    assert by_state["pruned"][-1].startswith("pruned at step ")
    assert "±" in by_state["done"][1]
    assert table.notes == ("PSNR: n = 4 images; 2 seeds a trial.",)
    ((row, column),) = table.marked
    assert (int(table.rows[row][0]), column) == (results.ranked()[0].trial.number, 1)
    assert best(results).rows[0] == table.rows[row]


def test_of_two_objectives_the_front_is_shown(results_of):
    two = "{metric: psnr, direction: max}, {metric: gflops, direction: min}"
    results = results_of(("{metric: psnr, direction: max}", two), ("pruner:", "#"))
    table = best(results)
    assert table.title == "Pareto front"
    assert [int(row[0]) for row in table.rows] == [
        one.trial.number for one in sorted(results.front(), key=lambda one: one.trial.objectives[0])
    ]
    assert table.marked == frozenset()
    assert "GFLOPs (full): counted" in table.notes[-1]
    assert [column.name for column in importances(results).columns] == ["Searched", "psnr@16x16", "gflops@16x16"]
