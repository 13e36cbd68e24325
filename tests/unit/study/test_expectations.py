import pytest

from vtbench.schema.expectation import Expectation
from vtbench.study.check import problems
from vtbench.study.expand import expand
from vtbench.study.expectations import Place, places, training_sizes
from vtbench.study.load import load_study

HEAD = "reference_arm: grid\n"


@pytest.fixture
def plan(write):
    path = write(HEAD, HEAD + "expectations: [{arm: grid, better_than: rope}]\n")
    overrides = {
        "evaluate.resolutions": ["16x16", "32x32"],
        "evaluate.num_tokens": [2, 4],
        "evaluate.routes": [{"input": "8x8", "decode": "32x32"}],
    }
    return expand(load_study(path), set=overrides)


def test_places_of_a_plan(plan):
    assert training_sizes(plan) == {"16x16"}

    def found(**fields):
        return places(plan, Expectation(arm="grid", better_than="rope", **fields))

    assert found() == [Place("16x16", None, 4), Place("32x32", None, 4)], "the longest is the full length"
    assert found(at="trained", num_tokens=2) == [Place("16x16", None, 2)]
    assert found(at="unseen", num_tokens="each") == [Place("32x32", None, 2), Place("32x32", None, 4)]
    assert found(at="trained", num_tokens=(2, 4, 9)) == [Place("16x16", None, 2), Place("16x16", None, 4)]
    assert found(route="from_8x8") == [Place("32x32", "from_8x8", 4)]
    assert found(at="64x64") == []


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("{arm: gird, better_than: rope}", "no arm is called 'gird'. Did you mean 'grid'?"),
        ("{arm: grid, better_than: [rope, rop]}", "no arm is called 'rop'. Did you mean 'rope'?"),
        ("{arm: grid, better_than: rope, metric: psnrr}", "Did you mean 'psnr'?"),
        ("{arm: grid}", "write one of better_than, like and no_worse_than"),
        ("{arm: grid, beter_than: rope}", "beter_than"),
    ],
)
def test_mistakes_are_named_with_their_line(complaint, text, part):
    message = complaint(HEAD, f"{HEAD}expectations:\n  - {text}\n")
    assert part in message
    assert "small.yaml:" in message


def test_what_nothing_measures_is_a_problem_of_the_plan(write, images, tmp_path, line_of):
    text = "expectations:\n  - {arm: grid, better_than: rope}\n  - {arm: grid, better_than: rope, at: 640x640}\n"
    path = write(HEAD, HEAD + text)
    path.write_text(path.read_text().replace("root: IMAGES", f"root: {images}"))
    (line,) = problems(expand(load_study(path)), tmp_path / "cache")
    assert f":{line_of(path, '640x640')}:" in line
    assert "nothing is measured at 640x640" in line


def test_expectations_of_a_profile_are_not_inherited(write, tmp_path):
    own = "expectations: [{arm: grid, better_than: rope}]"
    path = write("tiny: {", "tiny: {expectations: [{arm: grid, like: rope}], ")
    path.write_text(path.read_text().replace(HEAD, f"{HEAD}{own}\n"))
    assert len(expand(load_study(path)).expectations) == 2
    child = tmp_path / "child.yaml"
    child.write_text(
        "name: child\nextends: small\nquestion: q\nsource: s\nexpected: e\n"
        "arms: {other: {title: Other, set: {}}}\nreference_arm: other\n"
    )
    assert expand(load_study(child)).expectations == ()
