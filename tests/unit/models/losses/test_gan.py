import pytest
import torch

from vtbench.models.losses.gan import LeCam, hinge_discriminator, hinge_generator


def test_hinge_stops_where_the_discriminator_is_right_by_a_margin():
    assert hinge_discriminator(torch.tensor([1.0, 3.0]), torch.tensor([-1.0, -7.0])) == 0
    assert hinge_discriminator(torch.tensor([0.0, 2.0]), torch.tensor([0.0, 1.0])) == pytest.approx(0.5 + 1.5)


def test_the_generator_wants_high_outputs():
    assert hinge_generator(torch.tensor([1.0, 3.0])) == -2.0


def test_lecam_compares_crosswise_with_the_averages():
    lecam = LeCam()
    lecam.real.fill_(1.0)
    lecam.fake.fill_(-1.0)
    # Real outputs above the average of fakes and fakes below the average of reals cost the square of the distance.
    assert lecam(torch.tensor([0.0, 1.0]), torch.tensor([2.0, 0.0])) == pytest.approx((1 + 4) / 2 + (0 + 1) / 2)


def test_lecam_averages_move_by_their_decay_and_are_saved():
    lecam = LeCam(decay=0.9)
    lecam.update(torch.tensor([2.0, 4.0]), torch.tensor([-1.0]))
    assert lecam.real == 0  # within a step they stay what they are
    lecam.end_step()
    lecam.update(torch.tensor([2.0]), torch.tensor([-2.0]))
    lecam.update(torch.tensor([4.0]), torch.tensor([0.0]))
    lecam.end_step()
    state = lecam.state_dict()
    assert set(state) == {"real", "fake"}
    assert state["real"] == pytest.approx(0.3 * 0.9 + 0.3)
    assert state["fake"] == pytest.approx(-0.1 * 0.9 - 0.1)


def test_lecam_gives_no_gradient_to_its_averages():
    lecam = LeCam()
    real = torch.tensor([1.0], requires_grad=True)
    lecam.update(real, real)
    lecam(real, real).backward()
    assert not lecam.real.requires_grad
    assert real.grad is not None
