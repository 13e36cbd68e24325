import json
import socket
import threading

import pytest
import torch

from vtbench.distributed import collectives
from vtbench.errors import ProcessLostError

TOGETHER = """
import json, torch
from vtbench.distributed import collectives, rank
store = collectives.open_store()
with collectives.process_group(store, torch.device("cpu")):
    mine = torch.full((2, 1), float(rank()))
    parameters = [torch.nn.Parameter(torch.zeros(2)), torch.nn.Parameter(torch.zeros(1)), torch.nn.Parameter(mine)]
    parameters[0].grad, parameters[1].grad = torch.tensor([1.0, 2.0]) * rank(), torch.tensor([4.0 + rank()])
    collectives.mean_gradients(parameters)
    collectives.barrier()
    print(json.dumps({
        "together": collectives.together(),
        "any": [collectives.any_true(rank() == 1), collectives.any_true(False)],
        "mean": {k: v.item() for k, v in collectives.mean_scalars(
            {"b": torch.tensor(float(rank())), "a": torch.tensor(3.0)}).items()},
        "gradients": [parameters[0].grad.tolist(), parameters[1].grad.tolist(), parameters[2].grad is None],
        "gather": collectives.gather(mine, dim=1).tolist(),
        "mask": collectives.any_of(torch.tensor([rank() == 1, False, True])).tolist(),
        "main": collectives.from_main(mine).tolist(),
    }))
"""


def test_what_two_processes_find_together(start_two):
    found = []
    for process in start_two(TOGETHER):
        output, error = process.communicate(timeout=120)
        assert process.returncode == 0, error
        found.append(json.loads(output))
    assert found[0] == found[1]
    assert found[0] == {
        "together": True,
        "any": [True, False],
        "mean": {"a": 3.0, "b": 0.5},
        "gradients": [[0.5, 1.0], [4.5], True],
        "gather": [[0.0, 1.0], [0.0, 1.0]],
        "mask": [True, False, True],
        "main": [[0.0], [0.0]],
    }


def test_alone_each_is_what_it_was_given():
    value = torch.rand(3)
    parameter = torch.nn.Parameter(torch.zeros(3))
    parameter.grad = value.clone()
    collectives.barrier()
    collectives.mean_gradients([parameter])
    assert not collectives.together()
    assert torch.equal(parameter.grad, value)
    assert (collectives.any_true(True), collectives.any_true(False)) == (True, False)
    assert collectives.mean_scalars({"a": value[0]}) == {"a": value[0]}
    assert collectives.gather(value, 0) is value
    assert collectives.from_main(value) is value
    assert collectives.any_of(value > 0.5).equal(value > 0.5)


def test_who_cannot_be_met_is_named(monkeypatch):
    monkeypatch.setattr(collectives, "CONNECT_SECONDS", 1)
    for name, value in {"RANK": 1, "WORLD_SIZE": 2, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": 1}.items():
        monkeypatch.setenv(name, str(value))
    with pytest.raises(ProcessLostError, match=r"Process 1 of 2 cannot meet the others at 127\.0\.0\.1:1 "):
        collectives.open_store()


@pytest.fixture
def held_port(monkeypatch):
    """A port that something else listens at, which the only process of a run is told to serve at."""
    with socket.socket() as holder:
        holder.bind(("", 0))
        holder.listen()
        port = holder.getsockname()[1]
        for name, value in {"RANK": 0, "WORLD_SIZE": 1, "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}.items():
            monkeypatch.setenv(name, str(value))
        yield holder


def test_a_port_that_is_held_for_a_while_is_waited_for(held_port):
    timer = threading.Timer(1.5, held_port.close)
    timer.start()
    store = collectives.open_store()
    store.set("word", "here")
    assert store.get("word") == b"here"


def test_a_port_that_stays_held_is_named(held_port, monkeypatch):
    monkeypatch.setattr(collectives, "PORT_SECONDS", 0)
    with pytest.raises(ProcessLostError, match="EADDRINUSE"):
        collectives.open_store()
