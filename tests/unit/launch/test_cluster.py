import pytest

from vtbench.errors import LaunchError
from vtbench.launch import cluster, ledger
from vtbench.launch.attempt import Attempt, save_attempts
from vtbench.launch.cluster import chunks, in_order, recover, submission_lock, submit_plan
from vtbench.schema.cluster import ClusterConfig
from vtbench.store.lock import live_holder
from vtbench.store.provenance import collect
from vtbench.store.writer import RunWriter


@pytest.fixture
def slurm(fake_slurm, monkeypatch):
    monkeypatch.setattr(cluster, "SETTLE_SECONDS", 0.0)
    fake_slurm.says("sbatch", "Submitted batch job 12")
    fake_slurm.says("scontrol", "MaxArraySize = 1001")
    return fake_slurm


def sbatches(slurm):
    return len([call for call in slurm.calls if call.startswith("sbatch")])


def submit(store, plan, events=None, **options):
    take = events.append if events is not None else lambda event: None
    return submit_plan(store, plan, ClusterConfig(), on_event=take, **options)


@pytest.mark.parametrize(("number", "size", "lengths"), [(12, 5, [4, 4, 4]), (5, 5, [5]), (6, 5, [3, 3]), (1, 5, [1])])
def test_as_few_arrays_as_the_limit_allows(number, size, lengths):
    found = chunks([str(each) for each in range(number)], size)
    assert [len(each) for each in found] == lengths
    assert [run_id for each in found for run_id in each] == [str(each) for each in range(number)]


def test_ten_thousand_runs_are_ten_arrays():
    assert len(chunks([str(each) for each in range(10_000)], 1001)) == 10


def test_what_is_on_its_way_is_joined(store, make_plan, slurm):
    plan, events = make_plan(), []
    assert submit(store, plan, events) == list(plan.runs)
    assert [(event.kind, event.place) for event in events] == [("queued", "job 12_0"), ("queued", "job 12_1")]
    (made,) = ledger.submissions(store)
    slurm.says("squeue", f"12_0|{made.name}|RUNNING|None|node0\n12_1|{made.name}|PENDING|Priority|")
    assert submit(store, plan) == list(plan.runs)
    assert sbatches(slurm) == 1
    with pytest.raises(LaunchError, match=r"--fresh cannot begin them again.*vtbench cancel small@tiny"):
        submit(store, plan, fresh=True)


def test_only_what_is_missing_is_submitted_and_retry_chooses(store, make_plan, slurm):
    plan = make_plan()
    first, second = plan.runs
    with RunWriter(store, plan.runs[first], collect("test")) as writer:
        writer.update(status="failed")
    assert submit(store, plan, retry="none") == [second]
    (made,) = ledger.submissions(store)
    save_attempts(
        store, made.name, second, (Attempt(job_id="12", host="a", pid=1, started=0.0, ended=1.0, code=1, cause="x"),)
    )
    assert submit(store, plan, retry="none") == []
    assert submit(store, plan, retry="failed") == [first, second]
    assert sbatches(slurm) == 2


def test_nothing_is_submitted_while_slurm_does_not_answer(store, make_plan, slurm):
    plan = make_plan()
    submit(store, plan)
    slurm.says("squeue", "", code=1, error="Unable to contact slurm controller")
    with pytest.raises(LaunchError, match="does not answer"):
        submit(store, plan)
    assert sbatches(slurm) == 1


def test_jobs_that_were_submitted_and_not_noted_are_found(store, make_plan, slurm):
    plan = make_plan()
    submit(store, plan)
    (made,) = ledger.submissions(store)
    forgotten = ledger.save(store, made, status="planned", job_id=None)
    slurm.says("squeue", f"12_0|{made.name}|PENDING|x|\n12_1|{made.name}|PENDING|x|")
    recover(store)
    assert ledger.submissions(store) == [made]
    for path in ledger.folder(store, made.name).glob("*.pkl"):
        path.unlink()
    ledger.save(store, forgotten)
    recover(store)
    assert ledger.submissions(store) == []
    assert "scancel 12" in slurm.calls


def test_a_refused_array_is_void(store, make_plan, slurm):
    slurm.says("sbatch", "", code=1, error="sbatch: error: no")
    with pytest.raises(LaunchError, match="sbatch: error: no"):
        submit(store, make_plan())
    assert ledger.submissions(store) == []


def test_an_unclear_answer_is_looked_into_by_the_next_controller(store, make_plan, slurm):
    plan = make_plan()
    slurm.says("sbatch", "", code=1, error="sbatch: error: Socket timed out on send/recv operation")
    with pytest.raises(LaunchError, match="looks for them first"):
        submit(store, plan)
    (made,) = ledger.submissions(store)
    assert made.status == "planned"
    slurm.says("sbatch", "Submitted batch job 13")
    slurm.says("squeue", f"12_0|{made.name}|PENDING|x|")
    submit(store, plan)
    assert "scancel 12" in slurm.calls
    (made,) = ledger.submissions(store)
    assert (made.status, made.job_id) == ("submitted", "13")


def test_arrays_share_what_may_go_at_once(store, make_plan, slurm):
    slurm.says("scontrol", "MaxArraySize = 1")
    submit(store, make_plan(), parallel=1)
    assert sbatches(slurm) == 2


def test_fresh_forgets_what_is_stored(store, make_plan, slurm):
    plan = make_plan()
    first = next(iter(plan.runs))
    with RunWriter(store, plan.runs[first], collect("test")) as writer:
        writer.update(status="failed")
    store.checkpoint_dir(first).mkdir()
    submit(store, plan, fresh=True)
    assert not store.record_path(first).exists()
    assert not store.checkpoint_dir(first).exists()


def test_one_controller_submits_at_a_time(store):
    with submission_lock(store):
        assert live_holder(store.jobs_dir / "lock") is not None
    assert live_holder(store.jobs_dir / "lock") is None


def test_generators_are_submitted_after_the_jobs_of_their_tokenizers(store, make_generator_plan, slurm):
    plan, events = make_generator_plan(), []
    first, second = (plan.runs[cell.run_id] for cell in plan.cells)
    numbers = slurm.folder / "number"
    numbers.write_text("11")
    count = f"n=$(($(<{numbers}) + 1)); echo $n > {numbers}"
    slurm.says("sbatch", "", before=f"{count}; echo Submitted batch job $n")
    assert submit(store, plan, events) == list(plan.runs)
    made = {each.job_id: each for each in ledger.submissions(store)}
    assert made["12"].run_ids == (first.needs[0], second.needs[0])
    waits = {}
    for job_id in ("13", "14"):
        script = next(ledger.folder(store, made[job_id].name).glob("*submission*.sh"))
        lines = script.read_text().splitlines()
        assert "#SBATCH --kill-on-invalid-dep=yes" in lines
        (waits[made[job_id].run_ids],) = (line for line in lines if "--dependency" in line)
    assert waits == {
        (first.run_id,): "#SBATCH --dependency=afterok:12_0",
        (second.run_id,): "#SBATCH --dependency=afterok:12_1",
    }


def test_runs_wait_for_the_jobs_of_another_study(store, make_plan, slurm):
    other, plan = make_plan(), make_plan(train__steps=5)
    assert not other.runs.keys() & plan.runs.keys()
    pairs = zip(plan.runs.values(), other.runs, strict=True)
    plan = plan.model_copy(update={"runs": {spec.run_id: spec.model_copy(update={"needs": (n,)}) for spec, n in pairs}})
    submit(store, other)
    (theirs,) = ledger.submissions(store)
    slurm.says("squeue", f"12_0|{theirs.name}|RUNNING|None|node0\n12_1|{theirs.name}|PENDING|Priority|")
    slurm.says("sbatch", "Submitted batch job 13")
    assert submit(store, plan) == list(plan.runs)
    waits = []
    for made in ledger.submissions(store):
        if made.name != theirs.name:
            script = next(ledger.folder(store, made.name).glob("*submission*.sh")).read_text()
            waits += [(made.run_ids, line) for line in script.splitlines() if "--dependency" in line]
    first, second = plan.runs
    assert sorted(waits) == sorted(
        [((first,), "#SBATCH --dependency=afterok:12_0"), ((second,), "#SBATCH --dependency=afterok:12_1")]
    )


def test_a_generator_whose_tokenizer_is_done_waits_for_nothing(make_generator_plan):
    plan = make_generator_plan()
    first, second = (plan.runs[cell.run_id] for cell in plan.cells)
    (only,) = in_order(plan, [first.run_id])
    assert only == {first.needs: [first.run_id]}
    assert in_order(plan, [first.run_id, second.run_id, second.needs[0]]) == [
        {first.needs: [first.run_id], (): [second.needs[0]]},
        {second.needs: [second.run_id]},
    ]
