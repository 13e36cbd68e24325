"""A study on a real Slurm ends as it does on this machine, bit for bit, and is submitted once."""

import time

import pytest

pytestmark = pytest.mark.slow


def test_a_study_through_slurm_equals_the_local_one(site, equal):
    output = site.finish()
    assert "report: reports/fast/index.html" in output
    assert len(site.place.records()) == 2
    for run_id in site.place.plan().runs:
        equal(site, run_id)
    again = site.finish()
    assert "2 of them done already" in again
    assert len(site.submissions()) == 1


def test_a_dozen_runs_need_as_many_arrays_as_the_limit_asks_for(site, place, make_place):
    site.edit("steps: 24", "steps: 6")
    output = site.finish(None, "--seeds", "6")
    assert "12 runs" in output
    assert [len(each.run_ids) for each in site.submissions()] == [4, 4, 4]  # the limit is 5
    records = site.place.records()
    assert len(records) == 12
    local = make_place(place.path.parent / "local")
    (local.path / "studies" / "fast.yaml").write_text(site.study.read_text())
    code, _, error = local.call(*site.RUN, "--seeds", "6")
    assert code == 0, error
    assert {i: r.outcome() for i, r in records.items()} == {i: r.outcome() for i, r in local.records().items()}


def test_two_controllers_submit_nothing_twice(site, equal):
    first = site.start()
    second = site.start()
    outputs = [site.finish(first), site.finish(second)]
    assert all("2/2" in output or "report: " in output for output in outputs)
    (submission,) = site.submissions()
    assert set(submission.run_ids) == set(site.place.plan().runs)
    for run_id in submission.run_ids:
        equal(site, run_id)


def test_what_is_left_alone_is_joined_and_can_be_cancelled(long_site):
    site = long_site
    site.edit("steps: 150", "steps: 100000")
    started = time.monotonic()
    code, output, error = site.place.call(*site.SLURM, "--detach")
    assert code == 0, error
    assert "1 runs are on their way" in output
    site.wait_for_step(3)
    code, output, error = site.place.call(*site.SLURM, "--detach")
    assert code == 0, error
    assert len(site.submissions()) == 1
    assert len(site.slurm.jobs()) == 1
    code, output, error = site.place.call("vtbench", "cancel", "fast")
    assert code == 0, error
    assert "1 jobs cancelled" in output
    while site.slurm.jobs():
        assert time.monotonic() - started < 100
        time.sleep(0.2)
    assert site.place.records()[site.run_id()].status == "interrupted"
    assert site.attempts()[-1].cause == "cancelled"
