"""One process here; what several find is in tests/integration/test_distributed.py."""

import pytest
import torch
from torch import nn

from vtbench.models.nn.causal import CausalBlock, CausalConfig, CausalTransformer
from vtbench.models.nn.transformer import Block
from vtbench.train.parallel import Exchange, divide, in_order, layers


def test_the_layers_of_a_model_are_its_stacked_blocks(model):
    found = layers(model)
    assert found == [module for module in model.modules() if isinstance(module, Block)]
    assert len(found) == 2


def test_causal_blocks_are_layers_too():
    model = nn.Sequential(CausalTransformer(CausalConfig(width=16, num_layers=3, num_heads=2)), nn.Linear(16, 4))
    assert [type(layer) for layer in layers(model)] == [CausalBlock] * 3


def test_a_list_of_heads_is_no_stack_and_a_list_inside_a_layer_belongs_to_it():
    inner = nn.Sequential(nn.Linear(2, 2), nn.ModuleList([nn.Sequential(nn.Linear(2, 2))]))
    model = nn.ModuleDict({"heads": nn.ModuleList([nn.Linear(2, 2)] * 3), "stack": nn.ModuleList([inner])})
    assert layers(model) == [inner]


def test_alone_nothing_is_divided(model):
    before = dict(model.named_parameters())
    assert divide(model, torch.device("cpu")) == set()
    assert dict(model.named_parameters()) == before


def test_alone_it_is_the_model_itself(model):
    exchange = Exchange(model, set())
    assert exchange.forward is model
    images = torch.rand(2, 3, 16, 16)
    for last in (False, True):
        with exchange.part(last):
            exchange.forward(images).reconstruction.sum().backward()
    gradients = {name: p.grad.clone() for name, p in model.named_parameters() if p.grad is not None}
    exchange.finish()
    assert all(torch.equal(gradients[name], p.grad) for name, p in model.named_parameters() if name in gradients)
    norm = exchange.clip(1.0)
    whole = torch.stack([gradient.norm() for gradient in gradients.values()]).norm()
    assert norm.item() == pytest.approx(whole.item(), rel=1e-5)
    clipped = torch.stack([p.grad.norm() for p in model.parameters() if p.grad is not None]).norm()
    assert clipped.item() == pytest.approx(1.0, rel=1e-3)


def test_parameters_come_in_the_models_order(model):
    parameters = list(model.parameters())
    assert in_order(model, {parameters[5], parameters[1], parameters[3]}) == [parameters[i] for i in (1, 3, 5)]
