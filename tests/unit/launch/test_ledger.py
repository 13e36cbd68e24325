import os

import pytest

from vtbench.errors import StoreError
from vtbench.launch import ledger
from vtbench.schema.study import StudyPlan


def test_an_entry_is_there_before_and_after_sbatch(store, make_plan, tmp_path):
    plan = make_plan()
    first, second = plan.runs
    made = ledger.plan_submission(store, plan, [first, second], tmp_path)
    (found,) = ledger.submissions(store)
    assert found == made
    assert (found.status, found.job_id, found.pid) == ("planned", None, os.getpid())
    assert found.element(first) is None
    assert StudyPlan.model_validate_json(ledger.plan_file(store, made.name).read_text()) == plan
    part = ledger.plan_submission(store, plan, [second], tmp_path)
    read = StudyPlan.model_validate_json(ledger.plan_file(store, part.name).read_text())
    assert (list(read.runs), [cell.run_id for cell in read.cells]) == ([second], [second])
    assert (read.id, read.command) == (plan.id, plan.command)
    ledger.save(store, part, status="void")
    ledger.save(store, made, status="submitted", job_id="12")
    (found,) = ledger.submissions(store)
    assert (found.element(first), found.element(second)) == ("12_0", "12_1")


def test_one_run_is_a_job_and_not_an_array(store, make_plan, tmp_path):
    plan = make_plan()
    run_id = next(iter(plan.runs))
    made = ledger.save(store, ledger.plan_submission(store, plan, [run_id], tmp_path), job_id="7")
    assert made.element(run_id) == "7"


def test_the_newest_submission_of_a_run_counts_and_void_ones_do_not(store, make_plan, tmp_path):
    plan = make_plan()
    first, second = plan.runs
    old = ledger.plan_submission(store, plan, [first, second], tmp_path)
    new = ledger.plan_submission(store, plan, [second], tmp_path)
    void = ledger.plan_submission(store, plan, [first], tmp_path)
    ledger.save(store, void, status="void", reason="refused")
    newest = ledger.latest(ledger.submissions(store))
    assert newest == {first: old, second: new}


def test_a_broken_entry_says_how_to_find_its_jobs(store, make_plan, tmp_path):
    plan = make_plan()
    made = ledger.plan_submission(store, plan, list(plan.runs), tmp_path)
    (ledger.folder(store, made.name) / ledger.FILE).write_text('{"name": 3}')
    with pytest.raises(StoreError, match=f"scancel --name={made.name}"):
        ledger.submissions(store)
