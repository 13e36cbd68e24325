from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.nn import functional as F

from vtbench.cost import flops
from vtbench.cost.flops import count_flops, on_meta
from vtbench.errors import CostError

_size = st.integers(1, 9)


class _Call(nn.Module):
    """A function of tensors as a module."""

    def __init__(self, function) -> None:
        super().__init__()
        self.function = function

    def forward(self, *inputs):
        return self.function(*inputs)


def _macs(function, *shapes):
    return count_flops(_Call(function), *(torch.empty(shape) for shape in shapes)).macs


@settings(max_examples=10, deadline=None)
@given(batch=_size, tokens=_size, inside=_size, out=_size)
def test_linear_is_exact(batch, tokens, inside, out):
    count = count_flops(nn.Linear(inside, out), torch.empty(batch, tokens, inside))
    assert count.macs == batch * tokens * inside * out
    assert count.flops == 2 * count.macs
    assert count.coverage == 1.0


@settings(max_examples=10, deadline=None)
@given(
    batch=_size, groups=st.integers(1, 3), kernel=st.integers(1, 3), side=st.integers(4, 9), transposed=st.booleans()
)
def test_convolutions_are_exact(batch, groups, kernel, side, transposed):
    kind = nn.ConvTranspose2d if transposed else nn.Conv2d
    count = count_flops(kind(2 * groups, 3 * groups, kernel, groups=groups), torch.empty(batch, 2 * groups, side, side))
    positions = side**2 if transposed else (side - kernel + 1) ** 2
    assert count.macs == batch * positions * groups * 2 * 3 * kernel**2


def test_a_convolution_with_same_padding_is_exact():
    assert count_flops(nn.Conv2d(3, 4, 3, padding="same"), torch.empty(2, 3, 8, 8)).macs == 2 * 64 * 3 * 4 * 9


@settings(max_examples=10, deadline=None)
@given(batch=_size, heads=_size, rows=_size, columns=_size, width=_size, out=_size)
def test_attention_is_exact(batch, heads, rows, columns, width, out):
    shapes = (batch, heads, rows, width), (batch, heads, columns, width), (batch, heads, columns, out)
    macs = _macs(F.scaled_dot_product_attention, *shapes)
    assert macs == batch * heads * rows * columns * (width + out)


@settings(max_examples=10, deadline=None)
@given(batch=_size, n=_size, m=_size, d=st.integers(2, 9))
def test_einsum_and_bmm_are_exact(batch, n, m, d):
    assert _macs(lambda a, b: torch.einsum("bnd,bmd->bnm", a, b), (batch, n, d), (batch, m, d)) == batch * n * m * d
    assert _macs(torch.bmm, (batch, n, d), (batch, d, m)) == batch * n * m * d


@settings(max_examples=10, deadline=None)
@given(n=st.integers(1, 60), m=st.integers(1, 60), d=_size)
def test_cdist_is_exact_on_both_of_its_paths(n, m, d):
    assert _macs(torch.cdist, (2, n, d), (2, m, d)) == 2 * n * m * d


@pytest.mark.parametrize(
    ("function", "shapes", "macs"),
    [
        (torch.matmul, [(4, 5), (7, 5, 6)], 7 * 4 * 5 * 6),
        (torch.matmul, [(4, 5), (5,)], 20),
        (torch.matmul, [(5,), (5,)], 5),
        (torch.mv, [(4, 5), (5,)], 20),
        (torch.addmm, [(6,), (4, 5), (5, 6)], 120),
        (torch.addmv, [(4,), (4, 5), (5,)], 20),
        (torch.baddbmm, [(2, 4, 6), (2, 4, 5), (2, 5, 6)], 240),
        (torch.addbmm, [(4, 6), (2, 4, 5), (2, 5, 6)], 240),
        (lambda a, b: torch.einsum("ij,jk->k", a, b), [(3, 4), (4, 5)], 20),
        (lambda a, b: torch.einsum("i,j->ij", a, b), [(3,), (4,)], 0),
        (lambda a, b: torch.einsum("ij,jk->ik", a, b), [(3, 5), (1, 4)], 0),
        (lambda a, b: torch.einsum("...ij,jk", a, b), [(6, 2, 3, 4), (4, 5)], 6 * 2 * 3 * 4 * 5),
        (lambda a, b, c: torch.einsum("ij,jk,kl->il", a, b, c), [(2, 3), (3, 4), (4, 5)], 64),
        (lambda a: F.layer_norm(a, (8,)).softmax(-1), [(4, 8)], 0),
        (lambda a: F.interpolate(a, scale_factor=2.0, mode="bilinear"), [(1, 3, 4, 4)], 0),
    ],
)
def test_other_operations(function, shapes, macs):
    assert _macs(function, *shapes) == macs


class _SelfAttention(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.attention = nn.MultiheadAttention(8, 2, batch_first=True)

    def forward(self, x):
        return self.attention(x, x, x, need_weights=False)[0]


def test_multi_head_attention_in_evaluation_mode_is_not_skipped():
    count = count_flops(_SelfAttention().eval().requires_grad_(False), torch.empty(3, 5, 8))
    assert count.macs == 3 * (5 * 8 * 24 + 2 * 5 * 5 * 8 + 5 * 8 * 8)


def test_counts_by_module_add_up_and_the_module_is_untouched():
    model = nn.Sequential(nn.Linear(4, 8), nn.Sequential(nn.GELU(), nn.Linear(8, 2))).train()
    count = count_flops(model, torch.empty(3, 4))
    assert count.by_module["0"] == 96
    assert count.by_module["1"] == count.by_module["1.1"] == 48
    assert count.macs == 144
    assert count.by_op == {"linear": 144}
    assert count.free_ops == {"aten::gelu": 1}
    assert model.training
    assert model[0].weight.device.type == "cpu"


def test_what_is_derived_once_is_no_cost_of_a_call():
    cache = {}

    def function(x):
        if "matrix" not in cache:
            cache["matrix"] = torch.empty(50, 50, device="meta") @ torch.empty(50, 4, device="meta")
        return x @ cache["matrix"]

    assert _macs(function, (2, 50)) == 2 * 50 * 4


class _Branches(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 4)
        self.second = nn.Bilinear(4, 4, 2)

    def forward(self, x):
        return self.second(self.first(x), x)


def test_a_product_without_a_handle_is_an_error_that_names_operation_and_module():
    with pytest.raises(CostError, match=r"aten::bilinear in module 'second' cannot be counted"):
        count_flops(_Branches(), torch.empty(3, 4))


class _Kernel(torch.autograd.Function):
    @staticmethod
    def forward(ctx, x):
        return x * 2


def test_a_function_that_hides_its_work_is_an_error():
    with pytest.raises(CostError, match="_Kernel in the outermost module"):
        _macs(_Kernel.apply, (2, 3))


def test_counters_that_differ_are_an_error_that_names_the_module(monkeypatch):
    monkeypatch.setitem(flops.HANDLES, "aten::linear", lambda args, outputs: Counter(linear=1))
    model = nn.Sequential(nn.Conv2d(3, 4, 1), nn.Flatten(), nn.Linear(64, 10))
    with pytest.raises(CostError, match=r"Two counts of Sequential differ.*linear.*addmm.*module '2'"):
        count_flops(model, torch.empty(1, 3, 4, 4))


def test_on_meta_copies_no_data_and_keeps_shared_weights_shared():
    model = nn.Sequential(nn.Linear(4, 4), nn.BatchNorm1d(4), nn.Linear(4, 4))
    model[2].weight = model[0].weight
    twin = on_meta(model)
    assert {tensor.device.type for tensor in twin.state_dict().values()} == {"meta"}
    assert twin[2].weight is twin[0].weight
    assert model[0].weight.device.type == "cpu"


def test_deterministic_mode_does_not_matter_and_stays():
    module = nn.Upsample(size=(6, 6), mode="bilinear")
    head = nn.Sequential(module, nn.Conv2d(3, 2, 3))
    expected = count_flops(head, torch.zeros(1, 3, 4, 4)).macs
    torch.use_deterministic_algorithms(True)
    try:
        assert count_flops(head, torch.zeros(1, 3, 4, 4)).macs == expected
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        torch.use_deterministic_algorithms(False)
