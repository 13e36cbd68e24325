import torch
from torch import nn

from vtbench.cost.tracing import integer_sizes


class _Sized(nn.Module):
    """Notes what kind of size it sees while it is traced, and convolves."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.seen: set[type] = set()

    def forward(self, x):
        self.seen |= {type(x.shape[0]), type(x.size(1)), type(x.numel())}
        return self.conv(x).relu()


def _trace(module):
    graph, _ = torch.jit._get_trace_graph(module, (torch.empty(2, 3, 8, 8, device="meta"),))
    return [node.kind() for node in graph.nodes() if node.kind().startswith("aten")]


def test_convolutions_are_traced_on_the_meta_device_with_integer_sizes():
    module = _Sized().to("meta")
    with torch.no_grad(), integer_sizes():
        assert _trace(module) == ["aten::_convolution", "aten::relu"]
    assert module.seen == {int}


def test_tracing_is_back_to_normal_afterwards():
    module = nn.Linear(8, 8)
    with integer_sizes():
        pass
    graph, _ = torch.jit._get_trace_graph(module, (torch.zeros(2, 8),))
    assert "aten::linear" in {node.kind() for node in graph.nodes()}
    assert torch._C._get_tracing_state() is None
