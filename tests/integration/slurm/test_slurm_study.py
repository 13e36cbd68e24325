"""A study on a real Slurm ends as it does on this machine, bit for bit."""

import torch

from vtbench.store.query import load_record
from vtbench.train import checkpoint

RUN = ("vtbench", "run", "studies/fast.yaml")
SLURM = (*RUN, "--cluster", "slurm")


def assert_equal(store, other, run_id):
    """Check that a run came out the same in both stores: every exact value and every weight, bit for bit."""
    assert load_record(store, run_id).outcome() == load_record(other, run_id).outcome()
    assert store.log_path(run_id).read_bytes() == other.log_path(run_id).read_bytes()
    one, two = (checkpoint.load(checkpoint.path_of(each.checkpoint_dir(run_id), 24)) for each in (store, other))
    for part in ("model", "ema", "loss"):
        assert all(torch.equal(value, two[part][name]) for name, value in one[part].items()), part


def test_a_study_through_slurm_equals_the_local_one(site, slurm, finished):
    code, output, error = site.call(*SLURM)
    assert code == 0, output + error
    assert "report: reports/fast/index.html" in output
    assert len(site.records()) == 2
    for run_id in site.plan().runs:
        assert_equal(site.store, finished.store, run_id)
