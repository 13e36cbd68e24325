import pickle

import pytest
from submitit.core.utils import DelayedSubmission

from vtbench.errors import LaunchError
from vtbench.launch import ledger
from vtbench.launch.job import Job
from vtbench.launch.slurm import (
    SlurmRun,
    UnclearAnswerError,
    has_pickles,
    job_minutes,
    parameters,
    signal_seconds,
    start_estimate,
    submit_array,
)
from vtbench.schema.cluster import ClusterConfig
from vtbench.schema.study import ResourceConfig


@pytest.fixture
def submission(store, make_plan, tmp_path):
    plan = make_plan()
    return ledger.plan_submission(store, plan, list(plan.runs), tmp_path / "a b")


def script(store, submission):
    (path,) = ledger.folder(store, submission.name).glob("*_submission.sh")
    return path.read_text()


def test_one_call_submits_an_array_of_all_runs(store, submission, fake_slurm, monkeypatch):
    monkeypatch.setenv("SLURM_CPU_BIND", "quiet")
    fake_slurm.says("sbatch", "Submitted batch job 12")
    resources = ResourceConfig(device="cuda", num_gpus=8, num_nodes=2, num_cpus=6, memory_gb=1.5, minutes=90)
    cluster = ClusterConfig(account="lab", partition="fast", setup=("module load x",), sbatch={"nice": 5})
    assert submit_array(store, submission, resources, cluster, 1) == "12"
    assert len([call for call in fake_slurm.calls if call.startswith("sbatch")]) == 1
    lines = script(store, submission).splitlines()
    for line in (
        "--array=0-1%1",
        "--account=lab",
        "--partition=fast",
        "--nodes=2",
        "--ntasks-per-node=4",
        "--gpus-per-node=4",
        "--cpus-per-task=6",
        "--mem=1536M",
        "--time=90",
        "--signal=USR2@120",
        "--requeue",
        "--nice=5",
        f"--job-name={submission.name}",
    ):
        assert f"#SBATCH {line}" in lines, line
    assert not any("wckey" in line for line in lines)
    setup = lines.index("module load x")
    assert lines[setup - 3].startswith(f"export PYTHONPATH='{submission.snapshot}'")
    assert lines[setup - 2] == "export PYTHONSAFEPATH=1"
    (srun,) = (line for line in lines if line.startswith("srun"))
    assert "--kill-on-bad-exit=1" in srun
    assert has_pickles(store, submission, "12")
    assert not has_pickles(store, submission, "13")


def test_what_is_pickled_is_small_and_goes_on_as_itself(store, submission, fake_slurm):
    fake_slurm.says("sbatch", "Submitted batch job 12")
    submit_array(store, submission, ResourceConfig(), ClusterConfig(), None)
    path = ledger.folder(store, submission.name) / "12_1_submitted.pkl"
    assert path.stat().st_size < 3000
    delayed = pickle.loads(path.read_bytes())  # noqa: S301  # written two lines above
    assert isinstance(delayed, DelayedSubmission)
    run = delayed.function
    assert isinstance(run, SlurmRun)
    assert run.job == Job(
        root=str(store.root.resolve()),
        name=submission.name,
        run_id=submission.run_ids[1],
        resources=ResourceConfig(),
        minutes=60,
        signal_seconds=120,
    )
    assert run.checkpoint().function == run


@pytest.mark.parametrize(("minutes", "wanted", "seconds"), [(1, None, 15), (4, None, 60), (600, None, 120), (2, 5, 5)])
def test_a_short_job_is_not_told_to_stop_as_it_starts(minutes, wanted, seconds):
    assert signal_seconds(ResourceConfig(minutes=minutes), ClusterConfig(signal_seconds=wanted)) == seconds


def test_the_profile_counts_before_the_clusters_file():
    cluster = ClusterConfig(minutes=30, memory_gb=8, num_cpus=4)
    assert job_minutes(ResourceConfig(), cluster) == 30
    assert job_minutes(ResourceConfig(minutes=5), cluster) == 5
    found = parameters(ResourceConfig(), cluster, "x")
    assert (found["mem"], found["cpus_per_task"]) == ("8192M", 4)
    found = parameters(ResourceConfig(memory_gb=2, num_threads=1), cluster, "x")
    assert (found["mem"], found["cpus_per_task"]) == ("2048M", 1)
    assert "gpus_per_node" not in found


def test_a_refusal_has_slurms_words_and_is_said_once(store, submission, fake_slurm, capfd):
    fake_slurm.says("sbatch", "", code=1, error="sbatch: error: invalid partition specified: nowhere")
    with pytest.raises(LaunchError, match="refused the jobs: sbatch: error: invalid partition"):
        submit_array(store, submission, ResourceConfig(), ClusterConfig(), None)
    assert capfd.readouterr().err == ""


@pytest.mark.parametrize(
    ("text", "code", "error"),
    [
        ("as you like", 0, ""),
        ("", 1, "sbatch: error: Batch job submission failed: Socket timed out on send/recv operation"),
    ],
)
def test_what_is_unclear_is_not_taken_for_a_refusal(store, submission, fake_slurm, text, code, error):
    fake_slurm.says("sbatch", text, code, error)
    with pytest.raises(UnclearAnswerError, match="looks for them first"):
        submit_array(store, submission, ResourceConfig(), ClusterConfig(), None)


def test_when_a_job_would_start_is_asked_without_submitting(store, fake_slurm):
    fake_slurm.says("sbatch", "", error="sbatch: Job 9 to start at 2026-11-22T10:00:00 using 1 processors")
    assert "to start at" in start_estimate(store, ResourceConfig(), ClusterConfig(partition="fast"))
    (call,) = (call for call in fake_slurm.calls if call.startswith("sbatch"))
    assert "--test-only" in call
    assert list(store.jobs_dir.iterdir()) == []
