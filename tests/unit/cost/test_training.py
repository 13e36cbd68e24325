import pytest
import torch
from torch import nn
from torch.nn import functional as F

from vtbench.cost import training
from vtbench.cost.training import count_training
from vtbench.errors import CostError


def _by_key(products):
    return {(product.module, product.kind): product.macs for product in products}


def test_the_first_layer_has_no_gradient_of_its_input_to_compute():
    """Forward once, the weights' gradients once, the inputs' once more for all but the first layer."""
    model = nn.Sequential(nn.Linear(4, 8), nn.GELU(), nn.Linear(8, 2))
    count = count_training(model, torch.empty(3, 4))
    assert _by_key(count.products) == {("0", "linear"): 2 * 3 * 4 * 8, ("2", "linear"): 3 * 3 * 8 * 2}
    assert count.forward.macs == 3 * 4 * 8 + 3 * 8 * 2
    assert count.macs == 2 * 96 + 3 * 48


def test_frozen_layers_pass_gradients_and_compute_none():
    model = nn.Sequential(nn.Linear(4, 8), nn.Linear(8, 2))
    model[1].requires_grad_(False)
    assert _by_key(count_training(model, torch.empty(3, 4)).products) == {
        ("0", "linear"): 2 * 96,
        ("1", "linear"): 2 * 48,
    }


class _Mixed(nn.Module):
    """Every kind of product, with parameters before and after, and a part that no gradient reaches."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 8, 2, stride=2)
        self.qkv = nn.Linear(8, 24)
        self.codes = nn.Parameter(torch.empty(30, 8))
        self.mix = nn.Parameter(torch.empty(8, 8))

    def forward(self, images):
        x = self.conv(images).flatten(2).mT
        nearest = x.detach() @ self.codes.detach().T
        q, k, v = self.qkv(x).chunk(3, dim=-1)
        x = F.scaled_dot_product_attention(q, k, v)
        x = torch.einsum("bnd,de->bne", x, self.mix)
        return torch.cdist(x, self.codes[None]), nearest


def test_backward_products_stand_under_their_forward_products():
    count = count_training(_Mixed(), torch.empty(2, 3, 16, 16))
    forward = _by_key(count.forward.products)
    conv, qkv, attention = 2 * 64 * 8 * 12, 2 * 64 * 8 * 24, 2 * 2 * 64 * 64 * 8
    matmul, einsum, cdist = 2 * 64 * 8 * 30, 2 * 64 * 8 * 8, 2 * 64 * 30 * 8
    assert forward == {
        ("conv", "conv"): conv,
        ("", "matmul"): matmul,
        ("qkv", "linear"): qkv,
        ("", "attention"): attention,
        ("", "einsum"): einsum,
        ("", "cdist"): cdist,
    }
    assert _by_key(count.products) == {
        ("conv", "conv"): 2 * conv,
        ("", "matmul"): matmul,
        ("qkv", "linear"): 3 * qkv,
        ("", "attention"): 3 * attention,
        ("", "einsum"): 3 * einsum,
        ("", "cdist"): 3 * cdist,
    }


def test_hooks_see_the_backward_of_what_they_see_forward():
    count = count_training(_Mixed(), torch.empty(2, 3, 16, 16))
    assert {product.module for product in count.products if product.hooked} == {"conv", "qkv"}


def test_the_module_is_untouched():
    model = nn.Linear(4, 8).train()
    count_training(model, torch.empty(3, 4))
    assert model.training
    assert model.weight.grad is None
    assert model.weight.device.type == "cpu"


def test_nothing_to_train_is_an_error():
    with pytest.raises(CostError, match="Linear has nothing to train"):
        count_training(nn.Linear(4, 8).requires_grad_(False), torch.empty(3, 4))


class _OnlyWithGradients(nn.Module):
    def __init__(self, only_with):
        super().__init__()
        self.only_with = only_with
        self.first, self.second = nn.Linear(4, 4), nn.Linear(4, 4)

    def forward(self, x):
        return self.second(self.first(x)) if torch.is_grad_enabled() == self.only_with else self.first(x)


@pytest.mark.parametrize(("only_with", "message"), [(True, "ran aten.* with gradients"), (False, "other products")])
def test_a_forward_pass_that_is_another_one_in_training_is_an_error(only_with, message):
    with pytest.raises(CostError, match=message):
        count_training(_OnlyWithGradients(only_with), torch.empty(3, 4))


class _Squared(torch.autograd.Function):
    """Multiplies in its backward pass alone."""

    @staticmethod
    def forward(ctx, x):
        return x.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient @ gradient.mT @ gradient


class _Hidden(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 4)

    def forward(self, x):
        x = self.linear(x)
        return _Squared.apply(x) if torch.is_grad_enabled() else x


def test_a_backward_product_without_a_forward_one_is_an_error():
    with pytest.raises(CostError, match=r"aten.mm.default in the backward pass of _Hidden belongs to no product"):
        count_training(_Hidden(), torch.empty(3, 4))


def test_sequence_numbers_are_those_of_the_nodes():
    """What products are matched by: the number before an operation is the number of the node that it gets."""
    x = torch.empty(3, 3, requires_grad=True)
    product = x @ x
    assert training._last_node() == product.grad_fn._sequence_nr()
