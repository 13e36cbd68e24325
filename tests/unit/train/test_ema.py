import pytest
import torch
from torch import nn

from vtbench.train.ema import Ema


@pytest.fixture
def norm():
    """A layer with weights and with buffers, one of them a whole number."""
    return nn.BatchNorm1d(3)


def set_all(module, value):
    with torch.no_grad():
        for tensor in module.state_dict().values():
            tensor.fill_(value)


def test_it_starts_at_the_weights_and_is_a_copy(norm):
    ema = Ema(norm, 0.9)
    before = {name: value.clone() for name, value in norm.state_dict().items()}
    set_all(norm, 7)
    assert ema.state.keys() == before.keys()
    assert all(torch.equal(ema.state[name], before[name]) for name in before)


@pytest.mark.parametrize("step", [0, 1, 7, 80])
def test_the_ramp(norm, step):
    ema = Ema(norm, 0.999)
    set_all(norm, 5.0)
    ema.update(norm, step)
    decay = (1 + step) / (10 + step)
    # the weight was 1 and the bias 0
    torch.testing.assert_close(ema.state["weight"], torch.full((3,), decay * 1 + (1 - decay) * 5))
    torch.testing.assert_close(ema.state["bias"], torch.full((3,), (1 - decay) * 5))


def test_after_the_ramp_the_decay_is_constant(norm):
    ema = Ema(norm, 0.9)  # reached at step 80
    set_all(norm, 5.0)
    ema.update(norm, 1_000_000)
    torch.testing.assert_close(ema.state["weight"], torch.full((3,), 0.9 * 1 + 0.1 * 5))


def test_buffers_are_copied(norm):
    ema = Ema(norm, 0.999)
    set_all(norm, 5)
    ema.update(norm, 1000)
    assert torch.equal(ema.state["running_mean"], torch.full((3,), 5.0))
    assert ema.state["num_batches_tracked"].item() == 5
    assert ema.state["num_batches_tracked"].dtype == torch.int64


def test_the_models_weights_and_gradients_are_left_alone(model):
    ema = Ema(model, 0.5)
    before = {name: value.clone() for name, value in model.state_dict().items()}
    ema.update(model, 3)
    assert all(torch.equal(value, before[name]) for name, value in model.state_dict().items())
    assert not any(value.requires_grad for value in ema.state.values())
    assert all(torch.equal(ema.state[name], value) for name, value in before.items())
