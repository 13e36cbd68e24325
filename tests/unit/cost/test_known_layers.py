import pytest
import torch
from torch import nn

from vtbench.cost.dispatch import flop_counter, plain_kernels
from vtbench.cost.known_layers import KnownLayers
from vtbench.models.nn.transformer import Transformer, TransformerConfig


@pytest.fixture
def tower():
    with torch.device("meta"):
        return Transformer(TransformerConfig(width=32, num_layers=6, num_heads=2))


def whole(model, x):
    with torch.no_grad(), plain_kernels(), flop_counter() as counter:
        model(x)
    return counter.get_total_flops()


def known(layers, model, x):
    with torch.no_grad(), plain_kernels():
        return layers.flops(model, lambda: model(x))


def test_a_tower_counts_as_if_every_layer_had_run(tower):
    x, layers, calls = torch.empty(1, 9, 32, device="meta"), KnownLayers(), []
    for block in tower.blocks:
        block.mlp.register_forward_hook(lambda *args: calls.append(1))
    assert known(layers, tower, x) == whole(tower, x)
    assert len(calls) == 1 + 6
    assert not any("forward" in vars(block) for block in tower.blocks)
    assert known(layers, tower, x) == whole(tower, x)
    assert len(calls) == 1 + 6 + 6


def test_inputs_of_another_form_are_counted_anew(tower):
    layers, long = KnownLayers(), torch.empty(1, 20, 32, device="meta")
    short = known(layers, tower, torch.empty(1, 9, 32, device="meta"))
    assert known(layers, tower, long) == whole(tower, long) > short


def test_layers_of_other_models_are_told_apart(tower):
    with torch.device("meta"):
        fewer_heads = Transformer(TransformerConfig(width=32, num_layers=3, num_heads=1))
    x, layers = torch.empty(1, 9, 32, device="meta"), KnownLayers()
    counted = [known(layers, model, x) for model in (tower, fewer_heads)]
    assert counted == [whole(tower, x), whole(fewer_heads, x)]


def test_lists_inside_lists():
    with torch.device("meta"):
        model = nn.Sequential(*(nn.Sequential(*(nn.Linear(4, 4) for _ in range(3))) for _ in range(2)))
    x = torch.empty(2, 4, device="meta")
    assert known(KnownLayers(), model, x) == whole(model, x) == 6 * 2 * 2 * 4 * 4


def test_a_model_is_left_as_it_was_if_a_call_fails(tower):
    with pytest.raises(RuntimeError):
        known(KnownLayers(), tower, torch.empty(1, 9, 31, device="meta"))
    assert not any("forward" in vars(block) for block in tower.blocks)
