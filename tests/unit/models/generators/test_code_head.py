import pytest
import torch
from torch import nn

from vtbench.models.generators.code_head import CodeHead
from vtbench.models.nn.causal import CausalConfig


@pytest.fixture
def head():
    torch.manual_seed(0)
    head = CodeHead(CausalConfig(width=16, num_layers=2, num_heads=2, ffn_multiple=8, head_norm="qk"), 5).eval()
    for parameter in head.transformer.parameters():
        nn.init.normal_(parameter, std=0.3)
    return head


def test_a_code_sees_those_before_it(head):
    x = torch.randn(3, 4, 16)
    logits = head(x)
    assert logits.shape == (3, 4, 5)
    changed = x.clone()
    changed[:, 2] += 1
    difference = (head(changed) - logits).abs().amax(dim=(0, 2))
    assert not difference[:2].any()
    assert (difference[2:] > 1e-4).all()


def test_one_code_after_another_is_all_at_once(head):
    x = torch.randn(3, 4, 16)
    cache = head.new_cache(3, 4)
    assert cache.length == 4
    with torch.no_grad():
        steps = [head(x[:, code : code + 1], cache, code) for code in range(4)]
        torch.testing.assert_close(torch.cat(steps, dim=1), head(x), atol=1e-5, rtol=1e-4)


def test_the_codes_have_no_positions_and_share_one_layer(head):
    assert head.transformer.rope is None
    assert head.linear.weight.shape == (5, 16)
    assert head.linear.bias is not None
