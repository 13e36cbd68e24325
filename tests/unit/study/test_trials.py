import pytest

from vtbench.errors import StudyError
from vtbench.schema.search import Trial
from vtbench.store.query import load_record
from vtbench.study.expand import expand
from vtbench.study.search import corners
from vtbench.study.trials import (
    corner_plan,
    fingerprint,
    objective_label,
    objective_value,
    point_problems,
    trial_plan,
)

RATE = "train.optimizer.learning_rate"


def trial(number, **values):
    return Trial(number=number, batch=0, values={"losses.quantizer": 1.0, RATE: 1e-3, **values})


def test_a_trial_is_an_ordinary_run(make_search):
    study = make_search()
    plan = trial_plan(study, "tiny", 2, {}, [trial(0), trial(1, **{RATE: 2e-3}), trial(2)])
    assert [(cell.arm, cell.seed) for cell in plan.cells][:3] == [("trial-000", 0), ("trial-000", 1), ("trial-001", 0)]
    assert len(plan.runs) == 4
    overrides = {RATE: 1e-3}
    fixed = expand(study.model_copy(update={"search": None}), "tiny", 2, overrides)
    assert {cell.run_id for cell in fixed.cells} == {cell.run_id for cell in plan.cells if cell.arm == "trial-000"}
    with pytest.raises(StudyError, match="the search chooses this value"):
        trial_plan(study, "tiny", None, overrides, [trial(0)])


def test_the_number_of_trials_is_no_part_of_the_fingerprint(make_search):
    def of(*changes, **arguments):
        return fingerprint(expand(make_search(*changes), "tiny", **arguments))

    assert of() == of(("trials: 5", "trials: 9"))
    assert of() not in (
        of(("seed: 3", "seed: 4")),
        of(seeds=2),
        of(("steps: 8", "steps: 9")),
        of(("num_samples: 4", "num_samples: 3")),
    )


def test_an_objective_is_read_at_its_point(make_search, store, answer):
    plan = trial_plan(make_search(), "tiny", None, {}, [trial(0)])
    answer(plan)
    record = load_record(store, plan.cells[0].run_id)
    objective = plan.study.search.objectives[0]
    assert objective_label(plan, objective) == "psnr@16x16"
    assert objective_value(plan, objective, record) == next(v.value for v in record.metrics if v.name == "psnr")
    assert objective_value(plan, objective.model_copy(update={"metric": "ssim"}), record) is None


def test_points_that_a_profile_does_not_measure_are_said(make_search):
    assert point_problems(expand(make_search())) == []
    change = ("direction: max", "direction: max, at: 32x32, num_tokens: 3")
    lines = point_problems(expand(make_search(change, ("log_every: 1,", "log_every: 5,"))))
    assert [text for line, text in zip(lines, ("32x32", "3 tokens", "log_every"), strict=True) if text in line] == [
        "32x32",
        "3 tokens",
        "log_every",
    ]


def test_a_parameter_without_a_valid_end_is_an_error(make_search):
    study = make_search()
    assert len(corner_plan(study, "tiny", None, {}).study.arms) == len(corners(study.search))
    text = "{choices: [0.5, 1.0, 2.0]}"
    some = corner_plan(make_search((text, "{choices: [0.5, 1.0, -2.0]}")), "tiny", None, {})
    assert len(some.study.arms) == 3
    with pytest.raises(StudyError, match=r"(?s)no end of any parameter .*losses\.quantizer: a number of at least"):
        corner_plan(make_search((text, "{choices: [-1.0, -2.0]}"), ("start:", "#")), "tiny", None, {})
