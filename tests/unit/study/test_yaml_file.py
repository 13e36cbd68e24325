import pytest

from vtbench.errors import StudyError
from vtbench.study.yaml_file import Position, parse_value, parse_yaml, read_yaml


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-4", 1e-4),
        ("1E5", 1e5),
        ("2.5", 2.5),
        (".5", 0.5),
        ("-3", -3),
        ("007", 7),
        ("true", True),
        ("False", False),
        ("yes", "yes"),
        ("no", "no"),
        ("on", "on"),
        ("off", "off"),
        ("~", None),
        ("null", None),
        ("''", ""),
        ("'1'", "1"),
        ("12:30", "12:30"),
        ("2020-01-01", "2020-01-01"),
        ("0x10", "0x10"),
        (".inf", ".inf"),
        ("[1, a]", [1, "a"]),
        ("{a: 1}", {"a": 1}),
        ("256x256", "256x256"),
    ],
)
def test_scalars_follow_yaml_1_2(text, value):
    found = parse_value(text, "value")
    assert found == value
    assert type(found) is type(value)


def test_places_of_keys_values_and_items():
    file = parse_yaml("a: 1\nb:\n  c: [x, y]\n", "f.yaml")
    assert file.data == {"a": 1, "b": {"c": ["x", "y"]}}
    assert file.keys["b", "c"] == Position("f.yaml", 3, 3)
    assert file.values["b", "c"] == Position("f.yaml", 3, 6)
    assert file.keys["b", "c", 1] == Position("f.yaml", 3, 10)
    assert str(file.locate(("b", "c", "deeper"))) == "f.yaml:3"
    assert str(file.locate(("unknown",))) == "f.yaml:1"


@pytest.mark.parametrize(
    ("text", "start", "word"),
    [
        ("a: 1\nb: 2\na: 3\n", "f.yaml:3", "line 1"),
        ("", "f.yaml:1", "empty"),
        ("# only a comment\n", "f.yaml:1", "empty"),
        ("a:\n\tb: 1\n", "f.yaml:2", "tab"),
        ("a: [1\n", "f.yaml:", "expected"),
        ("a: b: c\n", "f.yaml:1", "mapping values"),
        ("a: 1\n---\nb: 2\n", "f.yaml:2", "document"),
        ("a: 1\nb: \x00\n", "f.yaml:2", "character"),
        ("- 1\n", "f.yaml:1", "mapping"),
        ("a: 1\n2: b\n", "f.yaml:2", "'2' must be text"),
        ("true: b\n", "f.yaml:1", "'true' must be text"),
        ("[a]: b\n", "f.yaml:1", "must be text"),
        ("a: 1e999\n", "f.yaml:1", "too large"),
        ("a: &x [*x]\n", "f.yaml:1", "contains itself"),
        ("a: *x\n", "f.yaml:1", "undefined alias"),
        ("a: !!python/object/apply:os.getcwd []\n", "f.yaml:1", "tag"),
        ("a: !!set {b}\n", "f.yaml:1", "tag"),
        ("a: !mine 3\n", "f.yaml:1", "tag !mine"),
    ],
)
def test_what_is_refused(text, start, word):
    with pytest.raises(StudyError) as caught:
        parse_yaml(text, "f.yaml")
    assert str(caught.value).startswith(start)
    assert word in str(caught.value)


def test_an_alias_is_a_copy():
    assert parse_yaml("a: &x {b: 1}\nc: *x\n", "f").data == {"a": {"b": 1}, "c": {"b": 1}}


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(StudyError, match="no such file"):
        read_yaml(tmp_path / "none.yaml")
    with pytest.raises(StudyError, match="folder"):
        read_yaml(tmp_path)
    (tmp_path / "latin.yaml").write_bytes(b"a: \xe9\n")
    with pytest.raises(StudyError, match=r"latin.yaml:1: not UTF-8"):
        read_yaml(tmp_path / "latin.yaml")


def test_what_a_reader_changes_is_its_own():
    first = parse_yaml("a: {b: [1]}\n", "f.yaml")
    first.data["a"]["b"].append(2)
    first.keys.clear()
    again = parse_yaml("a: {b: [1]}\n", "f.yaml")
    assert again.data == {"a": {"b": [1]}}
    assert again.keys
