import pytest

from vtbench.cli.search import best_trial, outcome
from vtbench.launch.search import SearchRequest, run_search
from vtbench.schema.search import Trial
from vtbench.study.expand import expand

IMAGES = ("root: nowhere", "root: images")


@pytest.fixture
def searched(folder, make_search, store, answer):
    """The small search, all told."""
    study = make_search(IMAGES)
    return run_search(store, SearchRequest(study=study, profile="tiny"), answer)


def test_a_finished_search_is_reported_at_once(call, folder, searched):
    result = call("run", "small_search.yaml", "--root", "store", "--report-dir", "report")
    assert result.exit_code == 0, result.stderr
    assert "profile tiny, 5 trials of 1 runs each, 5 of them told already" in result.stdout
    assert "started" not in result.stdout
    text = (folder / "report" / "README.md").read_text()
    assert "5 of 5 trials, proposed by tpe (seed 3), 2 at a time" in text
    assert call("report", "small_search", "--check", "--report-dir", "report").exit_code == 0
    (folder / "report" / "README.md").write_text(text.replace("5 of 5", "4 of 5"))
    assert "is stale" in call("report", "small_search", "--check", "--report-dir", "report").stderr
    assert call("report", "small_search", "--from-data", "--report-dir", "report").exit_code == 0
    assert (folder / "report" / "README.md").read_text() == text
    assert call("report", "small_search", "--root", "store", "--report-dir", "report").exit_code == 0
    assert (folder / "report" / "README.md").read_text() == text


def test_status_says_how_far_a_search_is(call, searched):
    result = call("status", "small_search", "--root", "store")
    best = max((trial for trial in searched.trials if trial.state == "done"), key=lambda trial: trial.objectives)
    assert "search: 5 of 5 trials told" in result.stdout
    assert f"best psnr@16x16 {best.objectives[0]:.4g} ({best.name})" in result.stdout


def test_what_cannot_go_is_said_before_anything_starts(call, make_search):
    make_search(IMAGES, ("direction: max", "direction: max, at: 32x32"))
    result = call("run", "small_search.yaml", "--root", "store")
    assert result.exit_code == 2
    assert "profile tiny does not measure at 32x32. Choose from: 16x16, first, last." in result.stderr
    make_search(IMAGES)
    result = call("run", "small_search.yaml", "--root", "store", "--cluster", "slurm", "--detach")
    assert result.exit_code == 2
    assert "a search asks for new trials as others end" in result.stderr
    result = call("run", "small_search.yaml", "--root", "store", "--set", "losses.quantizer=1.0")
    assert result.exit_code == 2
    assert "the search chooses this value" in result.stderr


def test_an_outcome_in_words(make_search):
    plan = expand(make_search())
    trial = Trial(number=0, batch=0, values={"losses.quantizer": 0.5})
    done = trial.model_copy(update={"state": "done", "objectives": (20.125,)})
    assert outcome(plan, done) == "quantizer=0.5: psnr@16x16 20.12"
    pruned = trial.model_copy(update={"state": "pruned", "reported": ((2, 0.5),)})
    assert outcome(plan, pruned) == "quantizer=0.5: pruned at step 2, 0.5"
    failed = trial.model_copy(update={"state": "failed", "cause": "it\nbroke"})
    assert outcome(plan, failed) == "quantizer=0.5: failed (it broke)"


def test_the_best_trial_is_one_that_is_done(make_search, searched):
    search = make_search().search
    better = max((trial for trial in searched.trials if trial.state == "done"), key=lambda trial: trial.objectives)
    assert best_trial(search, searched) == better
    assert best_trial(search, searched.model_copy(update={"trials": ()})) is None
