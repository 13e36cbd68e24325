import pytest

from vtbench.errors import StudyError
from vtbench.schema.search import SearchParameter
from vtbench.study.search import BASE_ARM, corners, grid_values, num_trials, tidy

OBJECTIVE = "objectives: [{metric: psnr, direction: max}]"
RATE = "train.optimizer.learning_rate: {low: 1.0e-4, high: 1.0e-2, log: true}"
SAMPLER = "sampler: {name: tpe, seed: 3, num_startup_trials: 2}"


def test_a_search_has_one_implicit_arm(make_search):
    study = make_search()
    assert [arm.name for arm in study.arms] == [BASE_ARM]
    assert study.reference_arm == BASE_ARM
    assert study.search.parallel == 2


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("metrics:", "arms: {a: {title: A, set: {}}}\nmetrics:"), "arms: a study with `search` has trials instead"),
        ((RATE, "train.optimizer.lerning_rate: {low: 1, high: 2}"), r"Did you mean 'train.optimizer.learning_rate'"),
        ((RATE, "evaluate.num_samples: {low: 1, high: 2}"), "measured alike"),
        (("{metric: psnr,", "{metric: psrn,"), "Did you mean 'psnr'"),
        (("{metric: psnr,", "{metric: images_per_second_encode,"), "nor a cost that is counted"),
        (("direction: max", "direction: max, at: 16"), "text is needed"),
        (("direction: max", "direction: max, at: big"), "write first, last or HEIGHTxWIDTH"),
        ((OBJECTIVE, "objectives: []"), "objectives: at least one is needed"),
        ((OBJECTIVE, OBJECTIVE[:-1] + ", {metric: gflops, direction: min}]"), "cannot stand for several objectives"),
        (("name: tpe", "name: cmaes"), "has nothing for choices"),
        ((SAMPLER, "sampler: {name: grid}"), "a grid needs num_points"),
        (("log: true", "log: true, num_points: 3"), "only a grid has points"),
        (("losses.quantizer: 1.0}]", "losses.quantizer: 3.0}]"), "3.0 is none of the values"),
        ((", losses.quantizer: 1.0}]", "}]"), "'losses.quantizer' is missing"),
        (("trials: 5", "trials: {tinny: 5}"), "Did you mean 'tiny'"),
        (("seed: 3", "sead: 3"), "unknown key 'search.sampler.sead'"),
    ],
)
def test_what_is_wrong_is_said_with_its_line(make_search, change, message):
    with pytest.raises(StudyError, match=message) as caught:
        make_search(change)
    assert all("small_search.yaml:" in line for line in str(caught.value).splitlines())


def test_corners_change_one_parameter_each(make_search):
    search = make_search().search
    found = corners(search)
    assert found[0] == {"losses.quantizer": 0.5, "train.optimizer.learning_rate": 1e-4}
    assert [sum(values[path] != found[0][path] for path in values) for values in found[1:]] == [1, 1, 1]


def test_a_grid_has_its_points_once(make_search):
    assert grid_values(SearchParameter(low=1, high=4, type="int")) == [1, 2, 3, 4]
    assert grid_values(SearchParameter(low=1.0, high=2.0, step=0.5)) == [1.0, 1.5, 2.0]
    assert grid_values(SearchParameter(low=1e-4, high=1e-2, log=True, num_points=3)) == [1e-4, 1e-3, 1e-2]
    assert grid_values(SearchParameter(low=1, high=2, type="int", num_points=5)) == [1, 2]
    search = make_search((SAMPLER, "sampler: {name: grid}"), ("log: true", "log: true, num_points: 4")).search
    assert num_trials(search, "tiny") == 5
    assert num_trials(search.model_copy(update={"trials": 99}), "tiny") == 4 * 3 + 1


def test_numbers_have_four_digits_and_stay_in_their_range():
    parameter = SearchParameter(low=0.012344, high=1.0)
    assert tidy(parameter, 0.4567891) == 0.4568
    assert tidy(parameter, 0.0123441) == 0.012344
    assert tidy(SearchParameter(low=1, high=9, type="int"), 3.0) == 3
