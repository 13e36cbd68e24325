import pytest

from vtbench.errors import StudyError
from vtbench.schema.study import StudyPlan
from vtbench.study.expand import expand
from vtbench.study.load import load_study

HEAD = "name: child\nextends: small\nquestion: Which start?\nsource: the tests\nexpected: none\nreference_arm: grid\n"
ARMS = "arms:\n  grid: {title: Grid, set: {}}\n  other: {title: Other, set: {}, needs: {tokenizer: %s}}\n"
ROPE, GRID = "{study: small, arm: rope}", "{study: small, arm: grid}"


@pytest.fixture
def child(write):
    """Write a study whose arms need runs of `small`, and return its path."""

    def child(arm=ROPE, top=f"needs: {{tokenizer: {GRID}}}\n", name="child"):
        path = write().with_name(f"{name}.yaml")
        path.write_text((HEAD + ARMS % arm + top).replace("name: child", f"name: {name}"))
        return path

    return child


def test_needed_runs_come_with_the_plan(child, study):
    path = child()
    plan, small = expand(load_study(path), seeds=2), expand(study, seeds=2)
    of_small = {(cell.arm, cell.seed): cell.run_id for cell in small.cells}
    for cell in plan.cells:
        wanted = "grid" if cell.arm == "grid" else "rope"
        assert plan.runs[cell.run_id].needs == (of_small[wanted, cell.seed],)
    (part,) = plan.needs
    assert (part.id, part.runs) == ("small@tiny", small.runs)
    assert len(plan.runs) == 4, "arms that differ in what they start from alone are different runs"
    assert not plan.runs.keys() & small.runs.keys()
    assert StudyPlan.model_validate_json(plan.model_dump_json()) == plan


def test_the_part_holds_what_is_needed_alone(child):
    (part,) = expand(load_study(child(arm=GRID)), seeds=1).needs
    assert [cell.arm for cell in part.cells] == ["grid"]
    assert len(part.runs) == 1


def test_without_needs_ids_stay(study):
    plan = expand(study)
    assert plan.needs == ()
    assert all(spec.needs == () for spec in plan.runs.values())


def test_a_need_of_a_need(child):
    child()
    path = child(arm="{study: child, arm: other}", top="", name="third")
    (part,) = expand(load_study(path)).needs
    assert [inner.id for inner in part.needs] == ["small@tiny"]


def test_one_of_several_runs_is_chosen(child, write):
    path = child(arm="{study: small, arm: rope, at: {train.steps: 2}}", top="")
    write("seeds: [0]", "seeds: [0]\naxes: {train.steps: [1, 2]}")
    (part,) = expand(load_study(path)).needs
    assert [cell.coordinates for cell in part.cells] == [{"train.steps": 2}]
    path = child(top="")
    with pytest.raises(StudyError, match="small/rope at seed 0 means 2 runs; choose one by `at"):
        expand(load_study(write("seeds: [0]", "seeds: [0]\naxes: {train.steps: [1, 2]}").with_name("child.yaml")))


@pytest.mark.parametrize(
    ("need", "part"),
    [
        ("{study: smal, arm: rope}", "there is no other study .*smal.yaml.* Did you mean 'small'"),
        ("{study: child, arm: grid}", "there is no other study"),
        ("{study: small, arm: roep}", "small has no arm 'roep'. Did you mean 'rope'"),
        ("{study: small, arm: rope, at: {train.steps: 2}}", "means no run"),
        ("{study: small}", "'arms.other.needs.tokenizer.arm' is missing"),
    ],
)
def test_mistakes(child, line_of, need, part):
    path = child(arm=need)
    with pytest.raises(StudyError, match=rf"child.yaml:{line_of(path, 'other:')}: .*{part}"):
        expand(load_study(path))


def test_a_circle(child):
    child(arm="{study: second, arm: grid}", top="")
    path = child(arm="{study: child, arm: grid}", top="", name="second")
    with pytest.raises(StudyError, match="second -> child -> second goes round in a circle"):
        expand(load_study(path))
