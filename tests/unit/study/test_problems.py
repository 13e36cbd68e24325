from typing import Literal

import pytest
from pydantic import PositiveInt, ValidationError, model_validator

from vtbench.errors import StudyError
from vtbench.schema.base import Frozen
from vtbench.study.problems import describe, dotted, join


class Inner(Frozen):
    depth: PositiveInt


class Outer(Frozen):
    size: Literal["small", "large"] | Inner = "small"
    count: int = 1
    share: float = 0.5
    flag: bool = False
    pair: tuple[float, float] = (0.0, 0.0)

    @model_validator(mode="after")
    def _consistent(self):
        if self.count > 10 * self.share:
            raise ValueError("count is too much for share")
        return self


def lines(data, prefix=()):
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(data)
    return describe(caught.value, Outer, data, lambda path: f"at {dotted(path)}", prefix)


@pytest.mark.parametrize(
    ("data", "line"),
    [
        ({"count": "a"}, "at count: count: a whole number is needed, not 'a'."),
        ({"count": 1.5}, "at count: count: a whole number is needed, not 1.5."),
        ({"share": None}, "at share: share: a number is needed, not null."),
        ({"flag": "yes"}, "at flag: flag: true or false is needed, not 'yes'."),
        ({"pair": 3}, "at pair: pair: a list is needed, not 3."),
        ({"cuont": 3}, "at cuont: unknown key 'cuont'. Did you mean 'count'?"),
        ({"size": {"depth": 0}}, "at size.depth: size.depth: a number above 0 is needed, not 0."),
        ({"size": {}}, "at size.depth: 'size.depth' is missing."),
        ({"size": {"depth": 1, "dept": 1}}, "at size.dept: unknown key 'size.dept'. Did you mean 'size.depth'?"),
        ({"count": 9, "share": 0.1}, "at count, at share: count is too much for share."),
    ],
)
def test_one_wrong_value_is_one_line_in_plain_words(data, line):
    assert lines(data) == [line]


def test_a_word_or_a_mapping():
    (line,) = lines({"size": "smal"})
    assert "one of 'small' or 'large' or a mapping" in line
    assert line.endswith("not 'smal'. Did you mean 'small'?")


def test_all_wrong_values_are_listed_under_their_prefix():
    found = lines({"count": "a", "share": "b"}, ("tokenizer",))
    assert [line.split(":")[0] for line in found] == ["at tokenizer.count", "at tokenizer.share"]


def test_join_says_a_repeated_line_once():
    error = join(["a", "b", "a"])
    assert isinstance(error, StudyError)
    assert str(error) == "a\nb"


def test_dotted():
    assert dotted(("a", "b", 0, "c")) == "a.b[0].c"
