from dataclasses import dataclass

import pytest
import torch
from torch import nn

from vtbench.cost.flops import count_flops
from vtbench.cost.repeats import Repeats


class _Block(nn.Module):
    def __init__(self, width=4, heads=1):
        super().__init__()
        self.heads = heads
        self.inner = nn.Linear(width, width)

    def forward(self, x, cache=None):
        return x + self.inner(x)


@dataclass
class _Cache:
    keys: torch.Tensor


class _Stack(nn.Module):
    """Calls each block once, in order; `caches` are handed to them."""

    def __init__(self, *blocks, caches=None):
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.caches = caches or [None] * len(blocks)

    def forward(self, x):
        for block, cache in zip(self.blocks, self.caches, strict=True):
            x = block(x, cache)
        return x


def _leaders(stack, work=None):
    repeats = Repeats(stack)
    with repeats.watching():
        stack(torch.empty(2, 3, 4))
    return repeats.leaders(work or {})


def test_blocks_that_are_called_alike_follow_the_first():
    assert _leaders(_Stack(_Block(), _Block(), _Block())) == {"blocks.1": "blocks.0", "blocks.2": "blocks.0"}


def test_a_block_with_another_option_is_on_its_own():
    assert _leaders(_Stack(_Block(), _Block(heads=2), _Block())) == {"blocks.2": "blocks.0"}


def test_inputs_of_another_form_tell_blocks_apart_inside_objects_too():
    short, long = _Cache(torch.empty(1, 4)), _Cache(torch.empty(9, 4))
    stack = _Stack(_Block(), _Block(), _Block(), caches=[short, long, _Cache(torch.empty(1, 4))])
    assert _leaders(stack) == {"blocks.2": "blocks.0"}


def test_inputs_that_cannot_be_compared_are_taken_as_different():
    assert _leaders(_Stack(_Block(), _Block(), caches=[object(), object()])) == {}


def test_work_that_torch_counts_differently_tells_blocks_apart():
    stack = _Stack(_Block(), _Block(), _Block())
    work = {"blocks.0": {"mm": 1}, "blocks.1": {"mm": 2}, "blocks.2": {"mm": 1}}
    assert _leaders(stack, work) == {"blocks.2": "blocks.0"}


def test_a_block_that_is_called_twice_is_always_traced():
    block = _Block()
    assert _leaders(_Stack(block, _Block(), block, _Block())) == {"blocks.3": "blocks.1"}


class _Double(nn.Module):
    def __init__(self):
        super().__init__()
        self.halves = nn.ModuleList([nn.Linear(4, 8), nn.Linear(4, 8)])

    def forward(self, x):
        return self.halves[0](x) + self.halves[1](x)


def test_a_layer_that_changes_the_form_of_its_input_is_always_traced():
    assert _leaders(_Double()) == {}


class _Functional(nn.Module):
    """Two products of its own and a block, twelve times over."""

    def __init__(self):
        super().__init__()
        self.stack = _Stack(*(_Block() for _ in range(12)))

    def forward(self, x):
        return self.stack(x) @ torch.empty(4, 5, device=x.device)


@pytest.fixture
def without_repeats(monkeypatch):
    monkeypatch.setattr(Repeats, "leaders", lambda self, work: {})


def _counted():
    return count_flops(_Functional(), torch.empty(2, 3, 4))


def test_leaving_out_changes_nothing_in_the_count(request):
    short = _counted()
    request.getfixturevalue("without_repeats")
    assert short == _counted()
    assert short.macs == 12 * 6 * 4 * 4 + 6 * 4 * 5
    assert [p.module for p in short.sequence] == [f"stack.blocks.{i}.inner" for i in range(12)] + [""]


def test_modules_are_themselves_again_afterwards():
    stack = _Stack(_Block(), _Block())
    repeats = Repeats(stack)
    with repeats.left_out({"blocks.1": "blocks.0"}):
        assert "forward" in vars(stack.blocks[1])
    assert "forward" not in vars(stack.blocks[1])
    assert not stack.blocks[1]._forward_hooks
