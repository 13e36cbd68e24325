from collections import Counter

import pytest
import torch
from hypothesis import assume, given, settings
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


def test_a_convolution_with_same_padding_is_exact():
    assert count_flops(nn.Conv2d(3, 4, 3, padding="same"), torch.empty(2, 3, 8, 8)).macs == 2 * 64 * 3 * 4 * 9


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


def _attend(heads, keys_heads, width, out):
    q, k, v = torch.empty(2, heads, 5, width), torch.empty(2, keys_heads, 7, width), torch.empty(2, keys_heads, 7, out)
    grouped = heads != keys_heads
    call = _Call(lambda q, k, v: F.scaled_dot_product_attention(q, k, v, enable_gqa=grouped))
    return call, (q, k, v), 2 * heads * 5 * 7 * (width + out), "attention"


_attention = st.builds(
    lambda keys_heads, group, width, out: _attend(keys_heads * group, keys_heads, width, out),
    st.integers(1, 3), st.integers(1, 3), _size, _size,
)  # fmt: skip


@st.composite
def _convolution(draw):
    groups, inside, out = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(1, 3))
    kernel, stride, padding = draw(st.integers(1, 3)), draw(st.integers(1, 3)), draw(st.integers(0, 2))
    transposed, side = draw(st.booleans()), draw(st.integers(4, 8))
    kind = nn.ConvTranspose2d if transposed else nn.Conv2d
    module = kind(inside * groups, out * groups, kernel, stride=stride, padding=padding, groups=groups)
    assume((side - 1) * stride + kernel > 2 * padding)  # else a transposed one leaves nothing
    positions = side**2 if transposed else ((side + 2 * padding - kernel) // stride + 1) ** 2
    macs = 2 * positions * groups * inside * out * kernel**2
    return module, (torch.empty(2, inside * groups, side, side),), macs, "conv"


@st.composite
def _written_out(draw):
    b, n, m, d = (draw(_size) for _ in range(4))
    a, c = torch.empty(b, n, d), torch.empty(b, m, d)
    name = draw(st.sampled_from(["einsum", "bmm", "broadcast", "cdist"]))
    if name == "einsum":
        # A sum over an axis of length 1 is an elementwise product, as torch does it.
        return _Call(lambda a, c: torch.einsum("bnd,bmd->bnm", a, c)), (a, c), b * n * m * d * (d > 1), "einsum"
    if name == "bmm":
        return _Call(lambda a, c: torch.bmm(a, c.mT)), (a, c), b * n * m * d, "matmul"
    if name == "broadcast":
        return _Call(lambda a, c: a @ c.mT), (a[:, None], c), b * b * n * m * d, "matmul"
    return _Call(torch.cdist), (a, c), b * n * m * d, "cdist"


@st.composite
def _linear(draw):
    inside, out = draw(_size), draw(_size)
    return nn.Linear(inside, out), (torch.empty(2, 3, inside),), 6 * inside * out, "linear"


class _Parts(nn.Module):
    """Each part on inputs of its own."""

    def __init__(self, parts):
        super().__init__()
        self.parts = nn.ModuleList(module for module, _, _, _ in parts)
        self.lengths = [len(inputs) for _, inputs, _, _ in parts]

    def forward(self, *inputs):
        given = iter(inputs)
        parts = zip(self.parts, self.lengths, strict=True)
        return tuple(part(*(next(given) for _ in range(length))) for part, length in parts)


@settings(max_examples=25, deadline=None)
@given(parts=st.lists(st.one_of(_linear(), _convolution(), _attention, _written_out()), min_size=1, max_size=4))
def test_random_modules_count_exactly_what_they_multiply(parts):
    count = count_flops(_Parts(parts), *(tensor for _, inputs, _, _ in parts for tensor in inputs))
    assert count.macs == sum(macs for _, _, macs, _ in parts)
    assert count.coverage == 1.0
    expected = {(f"parts.{i}", kind): macs for i, (_, _, macs, kind) in enumerate(parts) if macs}
    assert {(product.module, product.kind): product.macs for product in count.products} == expected


@torch.library.custom_op("vtbench_tests::grouped_matmul", mutates_args=())
def _grouped_matmul(x: torch.Tensor, weight: torch.Tensor) -> torch.Tensor:
    return x @ weight


@_grouped_matmul.register_fake
def _(x, weight):
    return x.new_empty(*x.shape[:-1], weight.shape[-1])


class _Custom(nn.Module):
    def __init__(self):
        super().__init__()
        self.weight = nn.Parameter(torch.empty(4, 5))

    def forward(self, x):
        return torch.ops.vtbench_tests.grouped_matmul(x, self.weight)


def test_a_custom_kernel_that_multiplies_is_an_error_that_names_operation_and_module():
    model = nn.Sequential(nn.Linear(4, 4), nn.Sequential(nn.GELU(), _Custom()))
    with pytest.raises(CostError, match=r"vtbench_tests::grouped_matmul in module '1.1' cannot be counted"):
        count_flops(model, torch.empty(3, 4))


class _Skipped(nn.Module):
    """Attention of one's own making, which stands for nn.MultiheadAttention or does not."""

    def __init__(self, counts_as_multihead_attention):
        super().__init__()
        self.counts_as_multihead_attention = counts_as_multihead_attention
        self.proj = nn.Linear(8, 8)

    def forward(self, x):
        return self.proj(F.scaled_dot_product_attention(x, x, x))


class _Everything(nn.Module):
    def __init__(self):
        super().__init__()
        self.official, self.own = _Skipped(True), _Skipped(False)
        self.library = nn.MultiheadAttention(8, 2, batch_first=True)
        self.conv = nn.ConvTranspose1d(8, 8, 1)
        self.weight = nn.Parameter(torch.empty(8, 8))

    def forward(self, x):
        x = self.own(self.official(x))
        x = self.library(x, x, x, need_weights=False)[0]
        return F.linear(self.conv(x.mT).mT, self.weight)


def test_products_stand_at_the_deepest_module_and_say_whether_a_hook_sees_them():
    count = count_flops(_Everything(), torch.empty(1, 5, 8))
    assert {(p.module, p.kind): (p.macs, p.hooked) for p in count.products} == {
        ("official", "attention"): (400, False),
        ("official.proj", "linear"): (320, False),
        ("own", "attention"): (400, False),
        ("own.proj", "linear"): (320, True),
        ("library", "linear"): (4 * 320, False),
        ("library", "attention"): (400, False),
        ("conv", "conv"): (320, True),
        ("", "linear"): (320, False),
    }


def test_the_sequence_is_in_order_of_execution():
    count = count_flops(_Everything(), torch.empty(1, 5, 8))
    order = [product.module for product in count.sequence]
    assert list(dict.fromkeys(order)) == ["official", "official.proj", "own", "own.proj", "library", "conv", ""]
    assert sum(product.macs for product in count.sequence) == count.macs


def test_weights_read_are_counted_each_time():
    linear = nn.Linear(4, 8)
    assert count_flops(linear, torch.empty(3, 4)).weight_elements == 40
    assert count_flops(nn.Sequential(linear, nn.Linear(8, 4), linear), torch.empty(3, 4)).weight_elements == 2 * 40 + 36
    assert count_flops(nn.Embedding(100, 8), torch.zeros(3, dtype=torch.int64)).weight_elements == 24


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


class _Table(nn.Module):
    """Returns a view of all of its parameter, as a table of learned positions does at its own size."""

    def __init__(self) -> None:
        super().__init__()
        self.table = nn.Parameter(torch.zeros(4, 6))

    def forward(self):
        return self.table.unflatten(0, (2, 2))[:2, :2].flatten(0, 1)


def test_a_module_that_returns_a_view_of_its_parameter_is_counted():
    layer, table = nn.Linear(6, 5), _Table()
    module = _Call(lambda x: layer(x + table()))
    module.layer, module.table = layer, table
    twin = on_meta(module).eval()
    twin.function = lambda x: twin.layer(x + twin.table())
    assert flops.count_twin(twin, torch.empty(2, 4, 6, device="meta")).macs == 2 * 4 * 6 * 5
    assert all(parameter.requires_grad for parameter in twin.parameters())


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
