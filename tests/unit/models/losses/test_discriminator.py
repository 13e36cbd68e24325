import pytest
import torch

from vtbench.models.losses.discriminator import BlurPool, PatchDiscriminator


@pytest.mark.parametrize("size", [(8, 8), (7, 10), (1, 1)])
def test_blur_pool_halves_and_keeps_constants(size):
    out = BlurPool()(torch.full((2, 3, *size), 0.7))
    assert out.shape == (2, 3, -(-size[0] // 2), -(-size[1] // 2))
    torch.testing.assert_close(out, torch.full_like(out, 0.7))


def test_blur_pool_wipes_out_what_would_alias():
    stripes = torch.zeros(1, 1, 8, 8)
    stripes[..., ::2] = 1
    torch.testing.assert_close(BlurPool()(stripes)[..., 1:3], torch.full((1, 1, 4, 2), 0.5))


@pytest.mark.parametrize(("size", "patches"), [((32, 32), (4, 4)), ((48, 30), (6, 4))])
def test_one_output_for_each_patch(size, patches):
    outputs = PatchDiscriminator(base_channels=8, num_layers=3)(torch.rand(2, 3, *size))
    assert outputs.shape == (2, 1, *patches)


def test_channels_double_up_to_four_times():
    widths = [layer.out_channels for layer in PatchDiscriminator(8, 4).layers if isinstance(layer, torch.nn.Conv2d)]
    assert widths == [8, 8, 16, 32, 32, 32, 1]


def test_any_number_of_channels_can_be_normalised():
    assert PatchDiscriminator(base_channels=6, num_layers=2)(torch.rand(1, 3, 16, 16)).isfinite().all()


def test_every_parameter_gets_a_gradient_and_the_blur_is_none():
    network = PatchDiscriminator(8, 2)
    network(torch.rand(2, 3, 16, 16)).square().mean().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in network.parameters())
    assert not any("kernel" in key for key in network.state_dict())


@pytest.mark.slow
def test_it_learns_to_tell_flat_from_noisy_images():
    torch.manual_seed(0)
    network = PatchDiscriminator(8, 2)
    optimizer = torch.optim.Adam(network.parameters(), 5e-3)
    for _ in range(60):
        noisy, flat = torch.rand(4, 3, 16, 16), torch.rand(4, 3, 1, 1).expand(-1, -1, 16, 16)
        loss = torch.relu(1 - network(noisy)).mean() + torch.relu(1 + network(flat)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 1
