import pytest
from pydantic import ValidationError

from vtbench.schema.search import PrunerConfig, SearchConfig, SearchParameter

RANGE = {"low": 1, "high": 8, "type": "int"}


@pytest.mark.parametrize(
    ("values", "message"),
    [
        ({}, "either low and high or choices"),
        ({"low": 1.0}, "either low and high or choices"),
        ({"choices": (1, 2), "low": 0.0}, "choices stand alone"),
        ({"choices": (1, 1)}, "different values"),
        ({"low": 2.0, "high": 1.0}, "above high"),
        ({"low": 0.0, "high": 1.0, "log": True}, "low above 0"),
        ({"low": 0.5, "high": 2.0, "type": "int"}, "whole numbers"),
    ],
)
def test_a_parameter_is_a_range_or_choices(values, message):
    with pytest.raises(ValidationError, match=message):
        SearchParameter(**values)


def test_ends_and_members_of_a_parameter():
    assert SearchParameter(**RANGE).ends == (1, 8)
    assert SearchParameter(**RANGE).contains(3)
    assert not SearchParameter(**RANGE).contains(3.5)
    assert not SearchParameter(**RANGE).contains(9)
    assert not SearchParameter(**RANGE).contains(True)
    choices = SearchParameter(choices=(None, {"name": "lpips"}))
    assert choices.contains({"name": "lpips"})
    assert not choices.contains("lpips")
    assert SearchParameter(low=0.5, high=0.5).ends == (0.5,)


def test_a_parameter_comes_back_from_json():
    for parameter in (SearchParameter(**RANGE), SearchParameter(choices=([], [1]))):
        assert SearchParameter.model_validate_json(parameter.model_dump_json()) == parameter


def test_a_pruner_looks_at_rising_steps():
    assert PrunerConfig(name="median", shares=(0.25, 0.5)).steps(800) == (200, 400)
    assert PrunerConfig(shares=(0.1, 0.2)).steps(4) == (1,)
    for shares in ((), (0.5, 0.25), (0.5, 1.0)):
        with pytest.raises(ValidationError, match="rising numbers below 1"):
            PrunerConfig(name="median", shares=shares)


def test_the_number_of_trials_is_one_or_each_profiles_own():
    search = SearchConfig(objectives=(), space={}, trials={"tiny": 4, "gpu": 8})
    assert [search.num_trials(name) for name in ("tiny", "gpu", "paper")] == [4, 8, 4]
    assert SearchConfig(objectives=(), space={}, trials=3).num_trials("gpu") == 3
