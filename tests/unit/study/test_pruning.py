import pytest

from vtbench.schema.search import PrunerConfig, Trial
from vtbench.study.pruning import decide, logged_reports

MEDIAN = PrunerConfig(name="median", value="mse", shares=(0.25, 0.5), num_startup_trials=2)


def log(*values):
    return [{"step": step, "mse": value} for step, value in enumerate(values)]


def trial(number, reported, state="done", rungs=None):
    return Trial(number=number, batch=0, values={}, state=state, reported=reported, rungs=rungs or {})


def with_pruner(study, **changes):
    return study.search.model_copy(update={"pruner": MEDIAN.model_copy(update=changes)})


def test_reports_are_means_of_the_last_lines_over_seeds():
    wide = MEDIAN.model_copy(update={"window": 0.25})
    assert logged_reports(wide, [log(8.0, 4.0)], 8) == ()
    assert logged_reports(wide, [log(8.0, 4.0, 3.0)], 8) == ((2, 6.0),)
    assert logged_reports(wide, [log(8.0, 4.0, 3.0, 1.0, 0.0)], 8) == ((2, 6.0), (4, 2.0))
    assert logged_reports(wide, [log(8.0, 4.0, 3.0), log(2.0, 2.0, 3.0)], 8) == ((2, 4.0),)
    assert logged_reports(wide, [log(8.0, 4.0, 3.0), log(2.0, 2.0)], 8) == ()


def test_the_first_steps_do_not_count_and_one_line_always_does():
    """Early steps of a fast and a slow starter differ by more than what they differ by where they are compared."""
    narrow = MEDIAN.model_copy(update={"window": 0.125})
    assert logged_reports(narrow, [log(80.0, 4.0, 3.0, 1.0, 0.0)], 8) == ((2, 4.0), (4, 1.0))
    sparse = [line for line in log(80.0, 9.0, 3.0, 2.0, 0.0) if line["step"] % 4 == 0]
    assert logged_reports(narrow, [sparse], 8) == ((2, 80.0), (4, 80.0))
    late = [line for line in log(80.0, 9.0, 3.0, 2.0, 0.0) if line["step"] >= 3]
    assert logged_reports(narrow, [late], 8) == ()


def test_a_trial_above_the_median_is_pruned_at_the_first_step_that_shows_it(make_search):
    search = with_pruner(make_search())
    earlier = [trial(number, ((2, 1.0 + number), (4, 0.5 + number))) for number in range(3)]
    good, late, bad = ((2, 1.5), (4, 1.5)), ((2, 1.9), (4, 1.9)), ((2, 2.5), (4, 0.0))
    assert not decide(search, earlier, 3, good, 8).pruned
    assert decide(search, earlier, 3, late, 8).reported == late
    assert decide(search, earlier, 3, late, 8).pruned
    found = decide(search, earlier, 3, bad, 8)
    assert found.pruned
    assert found.reported == bad[:1]
    assert not decide(search, earlier[:1], 1, bad, 8).pruned
    assert not decide(with_pruner(make_search(), direction="max"), earlier, 3, bad[:1], 8).pruned
    assert decide(with_pruner(make_search(), direction="max"), earlier, 3, good[:1], 8).pruned


@pytest.mark.parametrize("name", ["successive_halving", "hyperband"])
def test_rungs_are_noted_and_decide_for_later_trials(make_search, name):
    search = with_pruner(make_search(), name=name)
    earlier = []
    pruned = []
    for number in range(12):
        reports = ((2, 1.0 + number), (4, 1.0 + number))
        found = decide(search, earlier, number, reports, 8)
        assert found == decide(search, earlier, number, reports, 8)
        pruned.append(found.pruned)
        earlier.append(trial(number, found.reported, "pruned" if found.pruned else "done", found.rungs))
    assert any(one.rungs for one in earlier)
    assert pruned[0] is False
    assert any(pruned)


def test_numbers_of_a_batch_stay_theirs(make_search):
    search = with_pruner(make_search(), num_startup_trials=1)
    earlier = [trial(0, ((2, 1.0),))]
    assert decide(search, earlier, 3, ((2, 2.0),), 8).pruned
    failed = [*earlier, trial(1, (), "failed")]
    assert decide(search, failed, 2, ((2, 2.0),), 8).pruned
