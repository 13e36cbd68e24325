import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from vtbench.schema.base import Frozen, Resolution, canonical_json, content_hash, parse_resolution


class Point(Frozen):
    size: Resolution
    count: int = 1


def test_unknown_keys_are_refused():
    with pytest.raises(ValidationError, match="cuont"):
        Point(size="4x4", cuont=3)


@pytest.mark.parametrize("count", ["3", 3.0, True, None])
def test_nothing_is_converted_silently(count):
    with pytest.raises(ValidationError, match="count"):
        Point(size="4x4", count=count)


def test_it_is_frozen():
    point = Point(size="4x4")
    with pytest.raises(ValidationError, match="frozen"):
        point.count = 2


@given(st.integers(1, 10**5), st.integers(1, 10**5))
def test_a_resolution_is_height_by_width(height, width):
    text = f"{height}x{width}"
    assert parse_resolution(text) == (height, width)
    assert Point(size=text).size == text


@pytest.mark.parametrize("text", ["256", "256X256", "0x4", "4x0", "04x4", "4x4x4", " 4x4", "4x4\n", "-4x4", ""])
def test_anything_else_is_no_resolution(text):
    with pytest.raises(ValidationError, match="HEIGHTxWIDTH"):
        Point(size=text)
    with pytest.raises(ValueError, match="HEIGHTxWIDTH"):
        parse_resolution(text)


def test_equal_values_give_equal_text_and_hash():
    one, other = {"b": [1, {"d": None, "c": "é"}], "a": 0.1}, {"a": 0.1, "b": [1, {"c": "é", "d": None}]}
    assert canonical_json(one) == canonical_json(other) == '{"a":0.1,"b":[1,{"c":"é","d":null}]}'
    assert content_hash(one) == content_hash(other)
    assert content_hash(one) != content_hash({**one, "a": 0.2})


def test_hashes_never_change():
    assert content_hash({"a": 1}) == "015abd7f5cc5"
    assert content_hash({"a": 1}, length=4) == "015a"


@pytest.mark.parametrize("value", [math.nan, math.inf])
def test_what_json_does_not_know_has_no_hash(value):
    with pytest.raises(ValueError):
        content_hash(value)
