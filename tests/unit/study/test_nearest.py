from vtbench.study.expand import expand
from vtbench.study.nearest import ABSENT, differences, nearest


def specs(study, **overrides):
    return list(expand(study, set={path.replace("__", "."): value for path, value in overrides.items()}).runs.values())


def test_the_fewest_differences_win(study):
    ours = specs(study, train__steps=7)[0]
    others = [*specs(study, train__steps=9, train__batch_size=4), *specs(study)]
    found = nearest(ours, others)
    assert found.run_id == specs(study)[0].run_id
    assert [(one.path, one.ours, one.theirs) for one in found.differences] == [("train.steps", "7", "3")]


def test_what_cannot_change_a_result_is_no_difference(study):
    ours, _ = specs(study, train__num_workers=4, train__steps=7)
    theirs, _ = specs(study, data__root="/elsewhere", train__steps=7)
    assert ours.run_id == theirs.run_id
    assert differences(ours, theirs) == []


def test_the_run_itself_is_passed_over(study):
    grid, rope = specs(study)
    assert nearest(grid, [grid]) is None
    assert nearest(grid, []) is None
    assert nearest(grid, [grid, rope]).run_id == rope.run_id


def test_seed_needs_and_nested_values(study):
    ours, _ = specs(study)
    theirs = ours.model_copy(update={"seed": 3, "needs": ("a",), "run_id": "other"})
    assert [(one.path, one.theirs) for one in differences(ours, theirs)] == [("seed", "3"), ("needs", '["a"]')]
    gan, _ = specs(study, losses__gan={"start_step": 4})
    found = {one.path: (one.ours, one.theirs) for one in differences(gan, ours)}
    assert found["losses.gan.start_step"] == ("4", ABSENT)
    assert found["losses.gan"] == (ABSENT, "null")
