import pytest

from vtbench.errors import StoreError
from vtbench.launch import attempt
from vtbench.launch.attempt import Attempt, failed_rank, load_attempts, reached, save_attempts
from vtbench.launch.ledger import folder

FIRST = Attempt(job_id="12_0", host="node0", pid=4, started=1.0, ended=2.0, code=130, requeued=True)
SECOND = Attempt(job_id="12_0", host="node1", pid=5, started=3.0)


def test_attempts_are_kept_in_order_for_each_rank(store):
    assert load_attempts(store, "name", "run") == ()
    save_attempts(store, "name", "run", (FIRST, SECOND))
    save_attempts(store, "name", "run", (SECOND,), rank=1)
    assert load_attempts(store, "name", "run") == (FIRST, SECOND)
    assert load_attempts(store, "name", "run", rank=1) == (SECOND,)


def test_the_rank_that_failed_first_is_named(store):
    assert failed_rank(store, "name", "run", 4) is None
    save_attempts(store, "name", "run", (SECOND,))
    for rank, ended in ((1, 9.0), (2, 8.0), (3, None)):
        cause = None if ended is None else f"of {rank}"
        save_attempts(store, "name", "run", (SECOND.model_copy(update={"ended": ended, "cause": cause}),), rank)
    rank, found = failed_rank(store, "name", "run", 4)
    assert (rank, found.cause) == (2, "of 2")
    assert failed_rank(store, "name", "run", 2)[0] == 1


def test_a_broken_file_is_named(store):
    save_attempts(store, "name", "run", (FIRST,))
    path = folder(store, "name") / "attempts" / "run.0.json"
    path.write_text("{}x")
    with pytest.raises(StoreError, match=r"run\.0\.json"):
        load_attempts(store, "name", "run")


def test_what_is_reached_changes_with_all_that_a_killed_run_keeps(store):
    found = [reached(store, "run")]
    checkpoints = store.checkpoint_dir("run")
    checkpoints.mkdir(parents=True)
    for name in ("step-00000002.pt", "step-00000010.pt"):
        (checkpoints / name).touch()
        found.append(reached(store, "run"))
    rows = store.measured_dir("run") / "32x32_Lfull" / "0"
    rows.mkdir(parents=True)
    (rows / "psnr.npy").touch()
    found.append(reached(store, "run"))
    store.record_path("run").write_text('{"status": "done"}')
    found.append(reached(store, "run"))
    assert len(set(found)) == 5
    assert attempt.reached(store, "run") == found[-1]
    assert "step-00000010" in found[-1]
