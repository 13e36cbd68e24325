import pytest

from vtbench.errors import StoreError
from vtbench.store import query
from vtbench.store.find import cell_name, find_cell, find_run

RUNS = ("aa0000000001", "ab0000000002", "b00000000003")


@pytest.fixture
def plan(plan, make_spec):
    """The plan with real ids: arm a at steps 1 and 2, arm b with one run for both."""
    ids = dict(zip(("a1", "a2", "b"), RUNS, strict=True))
    cells = tuple(cell.model_copy(update={"run_id": ids[cell.run_id]}) for cell in plan.cells)
    return plan.model_copy(update={"cells": cells, "runs": {run_id: make_spec(run_id) for run_id in RUNS}})


@pytest.fixture
def filled(store, plan):
    query.save_plan(store, plan)
    return store


@pytest.mark.parametrize(
    ("text", "run_id"),
    [
        ("aa", RUNS[0]),
        (RUNS[1], RUNS[1]),
        ("b0", RUNS[2]),
        ("a/steps=1", RUNS[0]),
        ("a/steps=1/0", RUNS[0]),
        ("a/train.steps=2/seed=0", RUNS[1]),
        ("a/steps=2.0/0", RUNS[1]),
        ("s/a/steps=2/0", RUNS[1]),
        ("s@tiny/a/steps=2/0", RUNS[1]),
        ("b/0", RUNS[2]),
        ("b", RUNS[2]),
    ],
)
def test_what_a_text_means(filled, text, run_id):
    found = find_run(filled, text)
    assert found.run_id == run_id
    assert found.plan.id == "s@tiny"
    assert run_id in found.label


def test_the_name_of_a_cell_finds_it(filled, plan):
    for cell in plan.cells:
        assert find_run(filled, cell_name(cell)).run_id == cell.run_id


def test_a_run_without_a_plan_is_found_by_its_id(filled):
    filled.run_dir("c00000000004").mkdir(parents=True)
    found = find_run(filled, "c0")
    assert (found.run_id, found.plan, found.label) == ("c00000000004", None, "c00000000004")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("a", r"'a' begins 2 ids:\n  aa0000000001 \(s@tiny: a/steps=1/0\)\n  ab0000000002"),
        ("a/0", r"'a/0' fits 2 runs:\n  aa0000000001"),
        ("a/steps=3", r"No run in .* is called 'a/steps=3'. Did you mean 'a/steps=\d/0'\?"),
        ("a/steps=1/5", "No run in"),
        ("zz", "Write the beginning of a run's id, or ARM/SEED"),
    ],
)
def test_what_is_not_one_run(filled, text, said):
    with pytest.raises(StoreError, match=said):
        find_run(filled, text)


def test_only_the_plans_of_one_study(filled, plan):
    other = plan.model_copy(update={"study": plan.study.model_copy(update={"name": "other"})})
    query.save_plan(filled, other)
    assert find_run(filled, "b/0", "other").plan.id == "other@tiny"
    assert find_run(filled, "b/0", "s@tiny").plan.id == "s@tiny"
    with pytest.raises(StoreError, match=r"no plan of 'othr'. Did you mean 'other@tiny'\?"):
        find_run(filled, "b/0", "othr")


def test_a_cell_of_given_plans(plan):
    assert find_cell([plan], "b", "in the file").run_id == RUNS[2]
    with pytest.raises(StoreError, match="No run in the file is called 'c'"):
        find_cell([plan], "c", "in the file")
