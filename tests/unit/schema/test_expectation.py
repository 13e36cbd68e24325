import pytest
from pydantic import ValidationError

from vtbench.schema.expectation import Expectation


def test_one_other_arm_or_several():
    one = Expectation(arm="a", better_than="b")
    assert (one.relation, one.others, one.at, one.num_tokens, one.within) == ("better_than", ("b",), "all", "full", 0.1)
    assert Expectation(arm="a", like=("b", "c")).others == ("b", "c")
    assert Expectation(arm="a", no_worse_than="b", num_tokens=4).relation == "no_worse_than"


@pytest.mark.parametrize(
    ("fields", "part"),
    [
        ({}, "not none"),
        ({"better_than": "b", "like": "c"}, "not better_than and like"),
        ({"better_than": "a"}, "compared with itself"),
        ({"better_than": "b", "than_route": "from_24x24"}, "two ways within one arm"),
        ({"like": "b", "within": 0}, "greater than 0"),
        ({"like": "b", "num_tokens": "all"}, "num_tokens"),
    ],
)
def test_what_cannot_be_tested(fields, part):
    with pytest.raises(ValidationError, match=part):
        Expectation(arm="a", **fields)


def test_two_ways_of_one_arm():
    found = Expectation(arm="a", better_than="a", route="from_24x24", than_route="from_24x24_bicubic")
    assert found.others == ("a",)
