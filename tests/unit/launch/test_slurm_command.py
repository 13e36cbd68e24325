import os

import pytest

from vtbench.errors import LaunchError
from vtbench.launch import slurm_command
from vtbench.launch.slurm_command import SlurmJob


def test_what_squeue_says(fake_slurm):
    fake_slurm.says("squeue", "12_0|a|RUNNING|None|node0\n12_1|a|PENDING|Resources|\n13|b|NODE_FAIL|x|y|node[1-2]")
    found = slurm_command.jobs_named(["b", "a"])
    assert found[0] == SlurmJob("12_0", "a", "RUNNING", "None", "node0")
    assert [job.active for job in found] == [True, True, False]
    (call,) = fake_slurm.calls
    assert "--name=a,b" in call
    assert "--states=all" in call
    assert slurm_command.jobs_named([]) == []
    assert len(fake_slurm.calls) == 1


def test_what_is_wrong_with_slurm_is_one_message(fake_slurm):
    fake_slurm.says("squeue", "", code=1, error="slurm_load_jobs error: Unable to contact slurm controller")
    with pytest.raises(LaunchError, match="Unable to contact slurm controller"):
        slurm_command.jobs_named(["a"])
    fake_slurm.lacks("squeue")
    with pytest.raises(LaunchError, match=r"no `squeue` here.*leave --cluster out"):
        slurm_command.jobs_named(["a"])


def test_a_command_that_does_not_answer_is_not_waited_for(fake_slurm, monkeypatch):
    monkeypatch.setattr(slurm_command, "TIMEOUT_SECONDS", 0.2)
    (fake_slurm.folder / "squeue").write_text("#!/bin/bash\nread -t 5 <> <(:)\n")
    with pytest.raises(LaunchError, match="has not answered"):
        slurm_command.jobs_named(["a"])


def test_the_accounting_is_asked_where_there_is_one(fake_slurm):
    fake_slurm.says("sacct", "12_0|a|CANCELLED by 0|node0\n12_1|a|TIMEOUT|node1")
    found = slurm_command.accounted(["12"])
    assert [(job.job_id, job.state, job.node) for job in found] == [
        ("12_0", "CANCELLED", "node0"),
        ("12_1", "TIMEOUT", "node1"),
    ]
    fake_slurm.says("sacct", "", code=1, error="Slurm accounting storage is disabled")
    assert slurm_command.accounted(["12"]) == []
    fake_slurm.lacks("sacct")
    assert slurm_command.accounted(["12"]) == []


def test_many_jobs_are_cancelled_in_few_calls(fake_slurm):
    slurm_command.cancel(f"12_{number}" for number in range(1200))
    assert [len(call.split()) - 1 for call in fake_slurm.calls] == [500, 500, 200]


def test_the_longest_array_and_a_nodes_address(fake_slurm):
    fake_slurm.says("scontrol", "Configuration data\nMaxArraySize            = 1001\nMaxJobCount             = 10000")
    assert slurm_command.max_array_size() == 1001
    fake_slurm.says("scontrol", "NodeName=node0 NodeAddr=10.0.0.1 NodeHostName=n")
    assert slurm_command.address_of("node0") == "10.0.0.1"
    fake_slurm.says("scontrol", "JobId=12 JobState=COMPLETING Reason=None Restarts=2 BatchFlag=1")
    assert slurm_command.state_and_restarts("12") == ("COMPLETING", 2)


def test_a_surrounding_job_leaks_nothing(monkeypatch):
    for name, value in {"SLURM_CPU_BIND": "quiet", "SLURM_CONF": "/x", "RANK": "3", "MINE": "1", "OWN": "2"}.items():
        monkeypatch.setenv(name, value)
    before = dict(os.environ)
    with slurm_command.clean_environment("OWN"):
        assert "SLURM_CPU_BIND" not in os.environ
        assert "RANK" not in os.environ
        assert "OWN" not in os.environ
        assert os.environ["SLURM_CONF"] == "/x"
        assert os.environ["MINE"] == "1"
        os.environ["ADDED"] = "1"
    assert dict(os.environ) == before
