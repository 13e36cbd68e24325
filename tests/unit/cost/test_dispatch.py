import pytest
import torch
from torch import nn
from torch.nn import functional as F

from vtbench.cost.dispatch import Reads, flop_counter, plain_kernels


@pytest.mark.parametrize(
    ("function", "shapes", "macs"),
    [
        (torch.mv, [(4, 5), (5,)], 20),
        (torch.dot, [(5,), (5,)], 5),
        (torch.addmv, [(4,), (4, 5), (5,)], 20),
        (torch.addbmm, [(4, 6), (2, 4, 5), (2, 5, 6)], 240),
        (torch.cdist, [(2, 5, 4), (2, 6, 4)], 240),
        (torch.cdist, [(2, 50, 4), (2, 60, 4)], 24_000),
        (torch.mm, [(3, 4), (4, 5)], 60),
    ],
)
def test_products_that_torch_does_not_know_are_counted(function, shapes, macs):
    with flop_counter() as counter:
        function(*(torch.empty(shape, device="meta") for shape in shapes))
    assert counter.get_total_flops() == 2 * macs


@pytest.mark.parametrize("rows", [5, 50])
def test_distances_are_counted_backward_as_twice_forward(rows):
    a, b = (torch.empty(2, rows, 4, device="meta", requires_grad=True) for _ in range(2))
    with flop_counter() as counter:
        torch.cdist(a, b).sum().backward()
    assert counter.get_total_flops() == 3 * 2 * 2 * rows * rows * 4


class _Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.table = nn.Embedding(100, 8)
        self.linear = nn.Linear(8, 8)
        self.unused = nn.Linear(8, 8)

    def forward(self, indices):
        return self.linear(self.linear(self.table(indices))) + self.table.weight[:1]


def test_reads_are_of_what_is_used_each_time_again_and_of_rows_looked_up():
    model = _Model()
    with torch.no_grad(), Reads(model) as reads:
        model(torch.tensor([[3, 4, 3]]))
    assert reads.num_elements == 3 * 8 + 2 * (64 + 8) + 8


def test_plain_kernels_are_put_back():
    before = torch.backends.mha.get_fastpath_enabled()
    torch.use_deterministic_algorithms(True)
    try:
        with plain_kernels():
            assert not torch.backends.mha.get_fastpath_enabled()
            assert not torch.are_deterministic_algorithms_enabled()
            F.interpolate(torch.zeros(1, 1, 4, 4), size=6, mode="bilinear")
        assert torch.are_deterministic_algorithms_enabled()
    finally:
        torch.use_deterministic_algorithms(False)
    assert torch.backends.mha.get_fastpath_enabled() == before
