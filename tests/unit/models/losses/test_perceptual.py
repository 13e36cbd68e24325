import torch

from vtbench.models.losses.perceptual import PerceptualLoss, imagenet_normalise, resize, unit_channels


class _Pixels(PerceptualLoss):
    @classmethod
    def check(cls):
        pass

    def forward(self, reconstruction, targets):
        return (reconstruction - targets).abs().mean()


def test_a_perceptual_loss_stays_in_evaluation_mode():
    assert not _Pixels().train().training


def test_unit_channels_have_length_one_and_zeros_stay_zero():
    features = torch.randn(2, 5, 3, 4)
    features[0, :, 0, 0] = 0
    lengths = unit_channels(features).norm(dim=1)
    assert lengths[0, 0, 0] == 0
    torch.testing.assert_close(lengths[1], torch.ones(3, 4))


def test_unit_channels_have_a_finite_gradient_at_zero():
    features = torch.zeros(1, 5, 1, 1, requires_grad=True)
    unit_channels(features).sum().backward()
    assert torch.isfinite(features.grad).all()


def test_unit_channels_are_taken_in_fp32():
    assert unit_channels(torch.ones(1, 4, 1, 1, dtype=torch.bfloat16)).dtype == torch.float32


def test_resize_leaves_the_right_size_alone_and_antialiases_others():
    images = torch.zeros(1, 3, 8, 8)
    images[..., ::2] = 1
    assert resize(images, (8, 8)) is images
    torch.testing.assert_close(resize(images, (4, 4))[..., 1:3], torch.full((1, 3, 4, 2), 0.5))


def test_imagenet_normalise_takes_the_mean_colour_to_zero():
    mean = torch.tensor([0.485, 0.456, 0.406])[None, :, None, None]
    torch.testing.assert_close(imagenet_normalise(mean), torch.zeros(1, 3, 1, 1))
    above = mean + torch.tensor([0.229, 0.224, 0.225])[None, :, None, None]
    torch.testing.assert_close(imagenet_normalise(above), torch.ones(1, 3, 1, 1))
