import pytest
import torch


def test_the_plan_of_the_default_profile(call, folder):
    result = call("plan", "small", "--seeds", "2")
    assert result.exit_code == 0
    lines = result.stdout.splitlines()
    grid = next(line for line in lines if line.split()[:1] == ["grid"])
    assert grid.split()[1:3] == ["2", "0"]
    assert "4 cells, 4 runs, 0 of them done in runs" in result.stdout
    assert "jobs: 4, one a run (4 to train); 0 of 4 runs are reused" in result.stdout
    assert "of training (forward and backward" in result.stdout
    assert "time: seconds" in result.stdout
    assert "Arms differ in parameters: grid 1.00x, rope 0." in result.stdout
    assert "Needed before running" not in result.stdout
    assert not (folder / "runs" / "studies").exists()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card")
def test_a_profile_that_cannot_run_here_is_still_shown(call):
    result = call("plan", "small", "--profile", "gpu")
    assert result.exit_code == 0
    before, after = result.stdout.split("Needed before running:")
    assert "1 x 1TFLOP/s peak at 40% utilisation" in before
    assert "GPU-hours" in before
    assert "studies/small.yaml:" in after
    assert "/nowhere" in after
    assert "`--profile tiny` works here" in after


def test_a_size_that_does_not_fit_is_needed_before_running(call):
    result = call("plan", "small", "--set", "mixing.inputs={17x16: 1.0}")
    assert result.exit_code == 0
    assert "no patch size of [8] tiles 17x16" in result.stdout.partition("Needed before running:")[2]


def test_a_wrong_value_is_an_error(call):
    result = call("plan", "small", "--set", "train.steps=-1")
    assert result.exit_code == 2
    assert result.stderr == "--set train.steps: train.steps: a number above 0 is needed, not -1.\n"


def test_an_unknown_published_system(call, edit):
    edit("seeds: [0]", "seeds: [0]\npublished: [vibetokn]")
    assert "no published system is called 'vibetokn'" in call("plan", "small").stdout


@pytest.fixture
def slurm(tmp_path, monkeypatch):
    """Put programs before Slurm's own: arrays of at most 4 jobs, and an answer to `sbatch --test-only`."""

    def put(name, script):
        path = tmp_path / "programs" / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    put("scontrol", "echo 'MaxArraySize            = 4'")
    put("srun", "exit 1")  # submitit looks whether it is there
    put("sbatch", '[ "$1" = --test-only ] && echo "sbatch: Job 9 to start at 2026-11-22T10:00:00" >&2')
    monkeypatch.setenv("PATH", str(tmp_path / "programs"), prepend=":")
    return put


def test_what_a_cluster_would_do(call, slurm, folder):
    result = call("plan", "small", "--profile", "gpu", "--seeds", "3", "--cluster", "slurm")
    assert result.exit_code == 0
    assert "Slurm: sbatch: Job 9 to start at 2026-11-22T10:00:00" in result.stdout
    assert "Slurm: 2 arrays, as it takes at most 4 jobs in one" in result.stdout
    assert "CUDA device" not in result.stdout  # the cluster has its own
    assert "arrays" not in call("plan", "small", "--cluster", "slurm").stdout


def test_a_cluster_that_refuses_or_does_not_answer(call, slurm):
    slurm("sbatch", "echo 'sbatch: error: invalid partition specified: nowhere' >&2; exit 1")
    result = call("plan", "small", "--cluster", "slurm")
    assert result.exit_code == 0
    assert "invalid partition" in result.stdout
    assert "FLOPs: " in result.stdout


def test_an_unknown_cluster(call):
    result = call("plan", "small", "--cluster", "slurmm")
    assert result.exit_code == 2
    assert "Did you mean 'slurm'?" in result.stderr
