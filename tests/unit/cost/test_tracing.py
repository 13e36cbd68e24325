import pytest
import torch
from torch import nn
from torch.nn import functional as F
from torch.utils._python_dispatch import TorchDispatchMode

from vtbench.cost import tracing
from vtbench.cost.tracing import integer_sizes, known_kernels


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


class _Ran(TorchDispatchMode):
    """Notes the kernels that run below the mode in question."""

    def __init__(self):
        super().__init__()
        self.kernels = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.kernels.append(func)
        return func(*args, **(kwargs or {}))


@pytest.fixture
def ran(monkeypatch):
    monkeypatch.setattr(tracing, "_KNOWN", {})
    with _Ran() as ran, known_kernels():
        yield ran


def _times(ran, op):
    return ran.kernels.count(op)


def test_a_kernel_runs_once_for_each_form_of_its_inputs(ran):
    x, other = torch.empty(3, 4, device="meta"), torch.empty(3, 5, device="meta")
    results = [F.gelu(x), F.gelu(x), F.gelu(x.t()), F.gelu(other), F.gelu(x.half())]
    assert _times(ran, torch.ops.aten.gelu.default) == 4
    assert [r.shape for r in results] == [(3, 4), (3, 4), (4, 3), (3, 5), (3, 4)]
    assert [r.stride() for r in results] == [(4, 1), (4, 1), (1, 4), (5, 1), (4, 1)]
    assert results[4].dtype == torch.float16
    assert results[0].untyped_storage()._cdata != results[1].untyped_storage()._cdata


def test_equal_numbers_of_different_types_are_different(ran):
    x = torch.empty(3, device="meta", dtype=torch.int64)
    assert [(x * value).dtype for value in (2, 2.0, True, 2.0, 2)] == [
        torch.int64, torch.float32, torch.int64, torch.float32, torch.int64
    ]  # fmt: skip


def test_views_writes_and_data_on_other_devices_are_left_alone(ran):
    x = torch.empty(3, 4, device="meta")
    for _ in range(2):
        assert x.view(12).untyped_storage()._cdata == x.untyped_storage()._cdata
        assert x.add_(1) is x
        assert torch.equal(torch.ones(2) + 1, torch.full((2,), 2.0))
    assert _times(ran, torch.ops.aten.add.Tensor) == 2


def test_several_results_come_back_as_several(ran):
    x, norm = torch.empty(2, 4, device="meta"), torch.ops.aten.native_layer_norm
    first, second = (norm(x, [4], None, None, 1e-5) for _ in range(2))
    assert _times(ran, norm.default) == 1
    assert [t.shape for t in first] == [t.shape for t in second] == [(2, 4), (2, 1), (2, 1)]


def test_gradients_pass_through(ran):
    linear = nn.Linear(4, 5, device="meta")
    for _ in range(2):
        F.gelu(linear(torch.empty(3, 4, device="meta"))).sum().backward()
    assert linear.weight.grad.shape == (5, 4)


def test_what_is_answered_is_not_seen_below_unless_it_must_always_run(monkeypatch):
    monkeypatch.setattr(tracing, "_KNOWN", {})
    x = torch.empty(3, 3, device="meta")
    with _Ran() as ran, known_kernels(always_run={torch.ops.aten.mm}):
        for _ in range(2):
            F.gelu(x @ x)
    assert ran.kernels == [torch.ops.aten.mm.default, torch.ops.aten.gelu.default, torch.ops.aten.mm.default]


def test_what_is_known_does_not_grow_for_ever(monkeypatch):
    monkeypatch.setattr(tracing, "_KNOWN", {})
    monkeypatch.setattr(tracing, "_MOST_KNOWN", 3)
    for width in range(1, 10):
        with known_kernels():
            F.gelu(torch.empty(width, device="meta"))
    assert len(tracing._KNOWN) <= 5
