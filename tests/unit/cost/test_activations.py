import pytest
import torch
from torch import nn
from torch.nn import functional as F

from vtbench.cost.activations import live_bytes, saved_bytes
from vtbench.models.nn.transformer import Block, TransformerConfig


class _Call(nn.Module):
    def __init__(self, function):
        super().__init__()
        self.function = function
        self.weight = nn.Parameter(torch.empty(8, device="meta"))

    def forward(self, *inputs):
        return self.function(self.weight, *inputs)


def _meta(*shape, dtype=torch.float32):
    return torch.empty(shape, dtype=dtype, device="meta")


def _mlp():
    return nn.Sequential(nn.Linear(8, 32), nn.GELU(), nn.Linear(32, 8)).to("meta")


def test_live_bytes_are_those_of_the_widest_moment():
    """Input of 10 x 8 and two of 10 x 32 at once, all as bf16; weights do not count."""
    assert live_bytes(_mlp().eval(), _meta(10, 8)) == 2 * (10 * 8 + 2 * 10 * 32)


def test_what_is_freed_does_not_count_and_views_take_nothing():
    def function(weight, x):
        for _ in range(5):
            x = x + 1
        return x.view(-1).unsqueeze(0)

    assert live_bytes(_Call(function), _meta(100)) == 2 * 3 * 100


def test_numbers_that_are_not_floats_keep_their_size():
    assert live_bytes(_Call(lambda weight, x: x + 1), _meta(100, dtype=torch.int64)) == 2 * 8 * 100
    assert live_bytes(_Call(lambda weight, x: x > 0), _meta(100)) == 2 * 100 + 100


def test_attention_never_holds_the_scores():
    q, k, v = (_meta(2, 3, 50, 8) for _ in range(3))
    attend = _Call(lambda weight, q, k, v: F.scaled_dot_product_attention(q * weight, k, v, is_causal=True))
    part, rows = 2 * 3 * 50 * 8, 4 * 2 * 3 * 50  # rows in fp32
    assert live_bytes(attend, q, k, v) == 2 * 5 * part + rows
    # the product keeps q for the weight's gradient; attention keeps q * weight, k, v and its output
    assert saved_bytes(attend, q, k, v) == 2 * part + 2 * 4 * part + rows


def test_grouped_heads_and_narrow_values_have_outputs_of_their_own_shape():
    q, k, v = _meta(1, 4, 6, 8), _meta(1, 2, 7, 8), _meta(1, 2, 7, 3)
    attend = _Call(lambda weight, q, k, v: F.scaled_dot_product_attention(q, k, value=v, enable_gqa=True))
    assert attend.forward(q, k, v).shape == (1, 4, 6, 3)
    assert live_bytes(attend, q, k, v) == 2 * (4 * 6 * 8 + 2 * 7 * 8 + 2 * 7 * 3 + 4 * 6 * 3) + 4 * 4 * 6


def test_saved_bytes_are_each_storage_once_without_weights():
    # linear keeps its input, GELU its input, linear its input
    assert saved_bytes(_mlp(), _meta(10, 8)) == 2 * (10 * 8 + 10 * 32 + 10 * 32)
    shared = _Call(lambda weight, x: (x * weight) * (x.view(10, 8) * weight))
    assert saved_bytes(shared, _meta(10, 8)) == 2 * (80 + 80 + 80)


def test_rms_norm_keeps_its_input_and_a_number_a_row():
    norm = nn.RMSNorm(8, device="meta")
    assert saved_bytes(norm, _meta(10, 8)) == 2 * 80 + 4 * 10
    assert live_bytes(norm.eval(), _meta(10, 8)) == 2 * 160 + 4 * 10


def test_dropout_keeps_its_mask_in_training_only():
    model = nn.Sequential(nn.Linear(8, 8), nn.Dropout(0.5)).to("meta")
    kept = saved_bytes(model.train(), _meta(10, 8)) - saved_bytes(model.eval(), _meta(10, 8))
    assert kept == 80


@pytest.mark.parametrize("batch", [1, 3])
def test_a_real_forward_pass_keeps_the_same(batch):
    """On the CPU, in bf16, where attention is a fused kernel as well."""
    layer = Block(TransformerConfig(width=32, num_layers=1, num_heads=2))
    x = torch.zeros(batch, 10, 32)
    kept = {}

    def keep(tensor):
        kept.setdefault(tensor.untyped_storage()._cdata, tensor)
        return tensor

    weights = {parameter.untyped_storage()._cdata for parameter in layer.to(torch.bfloat16).parameters()}
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        out = layer(x.to(torch.bfloat16))
    real = sum(t.untyped_storage().nbytes() for key, t in kept.items() if key not in weights)
    counted = saved_bytes(layer.to("meta"), x.to("meta"))
    del out
    assert counted == pytest.approx(real, rel=0.02)
