import pytest
import torch
from torch import nn

from vtbench.errors import WeightsError
from vtbench.features import weights
from vtbench.models.losses import lpips
from vtbench.models.losses.lpips import LpipsLoss

_LINEAR = "weights-vgg16-lpips.pth"


class _NarrowVgg16(nn.Module):
    """VGG16's features with a sixteenth of its channels and no classifier: the real file has 528 MB."""

    def __init__(self, weights=None) -> None:
        super().__init__()
        self.features = nn.Sequential(*_layers())


def _layers():
    layers: list[nn.Module] = []
    channels = 3
    for width, repeats in ((4, 2), (8, 2), (16, 3), (32, 3), (32, 3)):
        for _ in range(repeats):
            layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
            channels = width
        layers.append(nn.MaxPool2d(2))
    return layers


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("VTBENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    return tmp_path


@pytest.fixture
def files(folder, monkeypatch):
    torch.manual_seed(0)
    network = _NarrowVgg16()
    torch.save({**network.state_dict(), "classifier.0.weight": torch.zeros(1)}, folder / "vgg16.pth")
    linear = {f"lin{i}.model.1.weight": torch.rand(1, c, 1, 1) for i, c in enumerate((4, 8, 16, 32, 32))}
    torch.save(linear, folder / _LINEAR)
    monkeypatch.setattr(lpips, "vgg16", _NarrowVgg16)
    monkeypatch.setattr(lpips, "_VGG_FILE", "vgg16.pth")
    return network, linear


def test_the_distance_is_that_of_the_paper(files):
    network, linear = files
    a, b = torch.rand(2, 2, 3, 32, 32)
    expected = torch.zeros(())
    mean = torch.tensor([0.485, 0.456, 0.406])[:, None, None]
    std = torch.tensor([0.229, 0.224, 0.225])[:, None, None]
    x, y = (a - mean) / std, (b - mean) / std
    stage = 0
    with torch.no_grad():
        for i, layer in enumerate(network.features[:30]):
            x, y = layer(x), layer(y)
            if i in (3, 8, 15, 22, 29):
                difference = (nn.functional.normalize(x, dim=1) - nn.functional.normalize(y, dim=1)) ** 2
                expected += (linear[f"lin{stage}.model.1.weight"] * difference).sum(1).mean()
                stage += 1
    assert stage == 5
    torch.testing.assert_close(LpipsLoss(size=None)(a, b), expected, rtol=1e-3, atol=0)


def test_images_are_resized_unless_told_otherwise(files):
    a, b = torch.rand(2, 1, 3, 32, 32)
    assert LpipsLoss()(a, a) == 0
    assert LpipsLoss()(a, b) != LpipsLoss(size=None)(a, b)


def test_gradients_reach_the_reconstruction_alone(files):
    loss = LpipsLoss(size=32)
    reconstruction = torch.rand(1, 3, 32, 32, requires_grad=True)
    loss(reconstruction, torch.rand(1, 3, 32, 32)).backward()
    assert reconstruction.grad.abs().sum() > 0
    assert not any(parameter.requires_grad for parameter in loss.parameters())


def test_check_names_the_missing_file_and_where_to_place_it(folder):
    with pytest.raises(WeightsError, match=r"lpips.*vgg16-397923af\.pth is missing") as caught:
        LpipsLoss.check()
    assert str(weights.folders()[0]) in str(caught.value)


def test_a_file_that_holds_something_else_is_refused(files, folder):
    torch.save({"other": torch.zeros(1)}, folder / _LINEAR)
    with pytest.raises(WeightsError, match="channel weights"):
        LpipsLoss()
