import pytest
import torch
from torch import nn

from vtbench.schema.run import OptimizerConfig, TrainConfig
from vtbench.train.update import ModelUpdate


@pytest.fixture
def make():
    def make(**changes):
        torch.manual_seed(0)
        optimizer = OptimizerConfig(learning_rate=0.1, weight_decay=0.0)
        config = TrainConfig(**{"steps": 2, "batch_size": 2, "optimizer": optimizer, **changes})
        return ModelUpdate(nn.Linear(2, 1), config)

    return make


def step(update, number=0, scale=1.0):
    update.begin(1.0)
    with update.exchange.part(last=True):
        loss = scale * update.exchange.forward(torch.ones(2, 2)).square().mean()
        update.backward(loss)
    update.exchanged()
    return update.apply(number, loss.detach())


def test_weights_move_and_the_average_follows(make):
    update = make()
    before = update.model.weight.detach().clone()
    assert float(step(update)) > 0
    after = update.model.weight.detach()
    assert not torch.equal(after, before)
    torch.testing.assert_close(update.ema.state["weight"], 0.1 * before + 0.9 * after)


def test_a_broken_step_leaves_all_as_it_was(make):
    update = make()
    before = {name: value.clone() for name, value in update.model.state_dict().items()}
    step(update, scale=float("nan"))
    assert all(torch.equal(value, before[name]) for name, value in update.model.state_dict().items())
    assert not update.optimizers.members[0].state


def test_the_norm_is_that_before_clipping(make):
    assert float(step(make(grad_clip=1e-3))) == pytest.approx(float(step(make(grad_clip=None))))


def test_what_was_saved_goes_on_the_same(make, frozen_copy):
    one, two = make(), make()
    step(one)
    two.load_state_dict(frozen_copy(one.state_dict()))
    for update in (one, two):
        step(update, 1)
    assert torch.equal(one.model.weight, two.model.weight)
    assert torch.equal(one.ema.state["weight"], two.ema.state["weight"])
