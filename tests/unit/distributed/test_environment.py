import pytest

from vtbench import distributed
from vtbench.distributed import environment

VARIABLES = ("RANK", "WORLD_SIZE", "LOCAL_RANK", "MASTER_ADDR", "MASTER_PORT", "TORCHELASTIC_USE_AGENT_STORE")
OF_SLURM = ("SLURM_PROCID", "SLURM_LOCALID", "SLURM_NTASKS", "SLURM_STEP_NUM_TASKS", "SLURM_STEP_NODELIST")


@pytest.fixture(autouse=True)
def _alone(monkeypatch):
    for name in (*VARIABLES, *OF_SLURM, "SLURM_JOB_ID", "SLURM_STEP_ID"):
        monkeypatch.delenv(name, raising=False)


def place():
    return distributed.rank(), distributed.world_size(), distributed.local_rank(), distributed.is_main()


def set_all(monkeypatch, **values):
    for name, value in values.items():
        monkeypatch.setenv(name, str(value))


def test_alone_it_is_the_only_process():
    assert place() == (0, 1, 0, True)


@pytest.mark.parametrize(("rank", "is_main"), [(0, True), (3, False)])
def test_the_launchers_variables_are_read_each_time(monkeypatch, rank, is_main):
    set_all(monkeypatch, RANK=rank, WORLD_SIZE=4, LOCAL_RANK=rank % 2)
    assert place() == (rank, 4, rank % 2, is_main)


def test_those_of_a_slurm_step_are_read_where_the_launchers_are_missing(monkeypatch):
    set_all(monkeypatch, SLURM_PROCID=3, SLURM_STEP_NUM_TASKS=4, SLURM_LOCALID=1)
    assert place() == (3, 4, 1, False)
    set_all(monkeypatch, RANK=1, WORLD_SIZE=2, LOCAL_RANK=0)
    assert place() == (1, 2, 0, False)


def test_a_batch_script_is_alone_in_its_allocation(monkeypatch):
    set_all(monkeypatch, SLURM_PROCID=0, SLURM_NTASKS=8, SLURM_JOB_ID=5)
    assert place() == (0, 1, 0, True)


def test_a_torchrun_inside_a_slurm_step_counts_for_itself(monkeypatch):
    set_all(monkeypatch, SLURM_PROCID=1, SLURM_STEP_NUM_TASKS=2, SLURM_LOCALID=1, RANK=0, WORLD_SIZE=1)
    assert place() == (0, 1, 0, True)


@pytest.mark.parametrize(
    ("nodes", "first"),
    [
        ("node1", "node1"),
        ("node1,node2", "node1"),
        ("a[03-07,9],b", "a03"),
        ("a[1,3]", "a1"),
        ("gpu-[001-004]-x,b2", "gpu-001-x"),
    ],
)
def test_the_first_host_of_a_node_list(nodes, first):
    assert environment.first_host(nodes) == first


def test_where_the_processes_meet(monkeypatch):
    set_all(monkeypatch, SLURM_STEP_NODELIST="n[2-3]", SLURM_JOB_ID=77, SLURM_STEP_ID=0)
    host, port = environment.rendezvous()
    assert host == "n2"
    assert 1024 < port < 32_768, "a port of outgoing connections can be taken by one of them"
    monkeypatch.setenv("SLURM_STEP_ID", "1")
    assert environment.rendezvous()[1] != port
    set_all(monkeypatch, MASTER_ADDR="m", MASTER_PORT=123)
    assert environment.rendezvous() == ("m", 123)


def test_a_store_that_the_launcher_keeps(monkeypatch):
    assert not environment.launcher_keeps_store()
    monkeypatch.setenv("TORCHELASTIC_USE_AGENT_STORE", "True")
    assert environment.launcher_keeps_store()
