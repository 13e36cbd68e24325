import torch
from torch import nn

from vtbench.cost.estimates import TRAINING_FACTOR, num_parameters, training_flops


def test_training_is_three_forward_passes():
    assert TRAINING_FACTOR == 3
    assert training_flops(2e9, 1000) == 6e12


def test_shared_and_frozen_parameters_count_once():
    layer = nn.Linear(3, 4)
    layer.weight.requires_grad_(False)
    assert num_parameters(nn.Sequential(layer, layer, nn.LayerNorm(4))) == 3 * 4 + 4 + 8
    with torch.device("meta"):
        assert num_parameters(nn.Linear(1000, 1000)) == 1_001_000
