import time

import pytest

from vtbench.launch import ledger, state
from vtbench.launch.attempt import Attempt, save_attempts
from vtbench.launch.state import job_states
from vtbench.store.lock import RunLock


@pytest.fixture
def submission(store, make_plan, tmp_path):
    plan = make_plan()
    made = ledger.plan_submission(store, plan, list(plan.runs), tmp_path)
    return ledger.save(store, made, status="submitted", job_id="12")


def attempt(**fields):
    return Attempt(job_id="12_0", host="node7", pid=4, started=time.time(), **fields)


def look(store, submission):
    """Return the state of the first run."""
    return job_states(store, submission.run_ids)[submission.run_ids[0]]


def test_runs_that_were_never_submitted_are_left_out(store, fake_slurm):
    assert job_states(store, ["a", "b"]) == {}
    assert fake_slurm.calls == []


def test_exit_files_settle_a_run_without_slurm(store, submission, fake_slurm):
    first, second = submission.run_ids
    save_attempts(store, submission.name, first, (attempt(ended=1.0, code=0),))
    save_attempts(store, submission.name, second, (attempt(ended=1.0, code=1, cause="no images"),))
    found = job_states(store, submission.run_ids)
    assert [found[first].word, found[second].word] == ["done", "failed"]
    assert (found[second].reason, found[second].node, found[second].job_id) == ("no images", "node7", "12_1")
    assert not found[first].active
    assert fake_slurm.calls == []


def test_a_heartbeat_is_believed_before_slurm(store, submission, fake_slurm):
    first, second = submission.run_ids
    save_attempts(store, submission.name, first, (attempt(),))
    save_attempts(store, submission.name, second, (attempt(ended=1.0, code=0),))
    lock = RunLock(store.lock_path(first))
    lock.acquire()
    assert look(store, submission).word == "running"
    assert fake_slurm.calls == []
    lock.release()
    fake_slurm.says("squeue", f"12_0|{submission.name}|NODE_FAIL|NodeDown|node7")
    found = look(store, submission)
    assert (found.word, found.reason) == ("failed", "the node failed")


@pytest.mark.parametrize(
    ("said", "word", "reason"),
    [
        ("PENDING|Resources|", "queued", "Resources"),
        ("PENDING|BeginTime|", "queued", "BeginTime"),
        ("RUNNING|None|node3", "running", None),
        ("COMPLETING|None|node3", "running", None),
        ("TIMEOUT|TimeLimit|node3", "failed", state.CAUSES["TIMEOUT"]),
        ("OUT_OF_MEMORY|x|node3", "failed", state.CAUSES["OUT_OF_MEMORY"]),
        ("CANCELLED|None|", "failed", "cancelled"),
    ],
)
def test_what_slurm_says_counts_where_files_are_silent(store, submission, fake_slurm, said, word, reason):
    fake_slurm.says("squeue", f"12_0|{submission.name}|{said}")
    found = look(store, submission)
    assert (found.word, found.reason) == (word, reason)
    assert found.active is (word != "failed")


def test_a_requeued_attempt_settles_nothing(store, submission, fake_slurm):
    first, _ = submission.run_ids
    save_attempts(store, submission.name, first, (attempt(ended=1.0, code=130, requeued=True),))
    fake_slurm.says("squeue", f"12_0|{submission.name}|PENDING|BeginTime|")
    found = look(store, submission)
    assert (found.word, found.num_attempts) == ("queued", 1)


def test_nothing_is_lost_while_slurm_does_not_answer(store, submission, fake_slurm):
    fake_slurm.says("squeue", "", code=1, error="Unable to contact slurm controller")
    found = look(store, submission)
    assert (found.word, found.active) == ("unknown", True)
    fake_slurm.says("squeue", "")
    found = look(store, submission)
    assert (found.word, found.active) == ("failed", False)
    assert "left no word" in found.reason


def test_a_job_that_left_no_word_is_told_by_its_output(store, submission, fake_slurm):
    fake_slurm.says("squeue", f"12_0|{submission.name}|FAILED|NonZeroExitCode|node1")
    output = ledger.folder(store, submission.name) / "12_0_0_log.out"
    output.write_text("starting\nModuleNotFoundError: No module named 'vtbench'\n\n")
    found = look(store, submission)
    assert "(FAILED) and left no word; the last that it printed: ModuleNotFoundError" in found.reason
    assert str(output) in found.reason


def test_what_slurm_has_forgotten_is_looked_up(store, submission, fake_slurm):
    fake_slurm.says("sacct", "12_0|x|TIMEOUT|node4")
    found = look(store, submission)
    assert (found.reason, found.node) == (state.CAUSES["TIMEOUT"], "node4")


def test_another_ranks_failure_is_named(store, submission, fake_slurm):
    submission = ledger.save(store, submission, num_ranks=2)
    first, _ = submission.run_ids
    save_attempts(store, submission.name, first, (attempt(),))
    save_attempts(store, submission.name, first, (attempt(ended=2.0, code=1, cause="no images"),), rank=1)
    fake_slurm.says("squeue", f"12_0|{submission.name}|RUNNING|None|node7")
    assert look(store, submission).word == "running"  # the first rank may be about to record it
    fake_slurm.says("squeue", f"12_0|{submission.name}|FAILED|NonZeroExitCode|node7")
    found = look(store, submission)
    assert (found.word, found.reason) == ("failed", "rank 1: no images")
