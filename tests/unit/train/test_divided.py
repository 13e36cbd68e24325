import pytest
import torch
from torch import distributed as dist
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.tensor import DTensor, Shard, distribute_tensor

from vtbench.train.divided import alike, local, whole


@pytest.fixture
def mesh(tmp_path):
    """A mesh of this process alone: what is divided on it is one piece, and of the same kind."""
    dist.init_process_group("gloo", init_method=f"file://{tmp_path}/meet", rank=0, world_size=1)
    yield init_device_mesh("cpu", (1,))
    dist.destroy_process_group()


@pytest.fixture
def divided(mesh):
    return distribute_tensor(torch.arange(6.0).view(3, 2), mesh, [Shard(0)])


def test_whole_tensors_pass_unchanged():
    tensor = torch.rand(2)
    assert local(tensor) is tensor
    assert alike(tensor, torch.zeros(2)) is tensor
    state = {"a": [tensor, None, 3, "x"], "b": (1.5, {"c": tensor})}
    assert whole(state) == state
    assert whole(state)["a"][0] is tensor


def test_divided_tensors_are_put_together_wherever_they_stand(divided):
    found = whole({"a": [divided], "b": 1})
    assert type(found["a"][0]) is torch.Tensor
    assert found["a"][0].tolist() == [[0, 1], [2, 3], [4, 5]]
    assert whole({"a": [divided], "b": 1}, keep=False) == {"a": [None], "b": 1}


def test_a_piece_shares_its_memory(divided):
    local(divided).zero_()
    assert not divided.full_tensor().any()


def test_a_whole_tensor_is_divided_as_another_is(divided):
    found = alike(torch.ones(3, 2), divided)
    assert isinstance(found, DTensor)
    assert found.placements == divided.placements
    assert torch.equal(found.full_tensor(), torch.ones(3, 2))
