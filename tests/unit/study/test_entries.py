import pytest

from vtbench.errors import StudyError
from vtbench.schema.cost_study import CostArm, CostStudy
from vtbench.study.entries import list_problems, parse, reference_problems, study_name_problems
from vtbench.study.yaml_file import parse_yaml

TEXT = """\
name: small
kind: cost
question: What?
source: none
expected: nothing
arms:
  a: {title: A, model: vibetoken}
  b:
    title: B
    model: vibetoken
axes: {resolution: [64x64]}
conventions: [full]
reference_arm: a
"""


def _parse(text):
    return parse(parse_yaml(text, "small.yaml"), CostStudy, {"arms": CostArm})


def test_entries_know_their_names_and_the_study_its_file():
    study = _parse(TEXT)
    assert [arm.name for arm in study.arms] == ["a", "b"]
    assert study.path == "small.yaml"


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("model: vibetoken\naxes", "modle: vibetoken\naxes", "small.yaml:10: unknown key 'arms.b.modle'. Did you mean"),
        ("title: B", "title: 3", "small.yaml:9: arms.b.title: text is needed, not 3"),
        ("    title: B\n", "", "small.yaml:8: 'arms.b.title' is missing"),
        ("  b:", "  B b:", "small.yaml:8: 'B b' cannot be a name"),
        ("source:", "sauce:", "small.yaml:4: unknown key 'sauce'. Did you mean 'source'?"),
        ("name: small", "path: x\nname: small", "small.yaml:1: unknown key 'path'"),
    ],
)
def test_messages_speak_of_the_file(old, new, message):
    assert old in TEXT
    with pytest.raises(StudyError) as caught:
        _parse(TEXT.replace(old, new, 1))
    assert message in str(caught.value)


def test_arms_must_be_a_mapping():
    text = TEXT[: TEXT.index("arms:")] + "arms: [a, b]\n" + TEXT[TEXT.index("axes:") :]
    with pytest.raises(StudyError, match=r"small.yaml:6: arms: a mapping of `name: ...` is needed"):
        _parse(text)


def test_names_lists_and_references():
    file = parse_yaml("name: x\nreference_arm: ropes\n", "f.yaml")
    assert list(study_name_problems("fine-1.0", file)) == []
    assert list(study_name_problems("../x", file)) == [
        "f.yaml:1: '../x' cannot be a name; use small letters, digits, '_', '-' and '.'."
    ]
    assert list(reference_problems("ropes", ["rope", "grid"], file)) == [
        "f.yaml:2: reference_arm: no arm is called 'ropes'. Did you mean 'rope'?"
    ]
    assert list(list_problems("arms", [], "f.yaml:1")) == ["f.yaml:1: arms: at least one is needed."]
    assert list(list_problems("arms", [1, 1], "f.yaml:1")) == ["f.yaml:1: arms: one of them is there twice."]
    assert list(list_problems("arms", [1, 2], "f.yaml:1")) == []
