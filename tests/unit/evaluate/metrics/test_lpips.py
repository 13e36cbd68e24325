"""LPIPS, on a narrow stand-in of VGG16 in files of the real ones' form."""

import pytest
import torch
from torch import nn

from vtbench.errors import WeightsError
from vtbench.evaluate.metrics.lpips import Lpips
from vtbench.models.losses import lpips
from vtbench.models.losses.lpips import LpipsLoss


class NarrowVgg16(nn.Module):
    """VGG16's features with a sixteenth of its channels: the real file has 528 MB."""

    def __init__(self, weights=None):
        super().__init__()
        layers, channels = [], 3
        for width, repeats in ((4, 2), (8, 2), (16, 3), (32, 3), (32, 3)):
            for _ in range(repeats):
                layers += [nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(inplace=True)]
                channels = width
            layers.append(nn.MaxPool2d(2))
        self.features = nn.Sequential(*layers)


@pytest.fixture
def files(tmp_path, monkeypatch):
    monkeypatch.setenv("VTBENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    torch.manual_seed(0)
    torch.save(NarrowVgg16().state_dict(), tmp_path / "vgg16.pth")
    linear = {f"lin{i}.model.1.weight": torch.rand(1, c, 1, 1) for i, c in enumerate((4, 8, 16, 32, 32))}
    torch.save(linear, tmp_path / "weights-vgg16-lpips.pth")
    monkeypatch.setattr(lpips, "vgg16", NarrowVgg16)
    monkeypatch.setattr(lpips, "_VGG_FILE", "vgg16.pth")


def test_each_pair_gets_the_losss_distance(files, photographs, spoil):
    reference = photographs(18, 32)  # more than one pass of the network
    produced = spoil(reference, 10)
    distances = Lpips().measure(reference, produced)
    assert distances.dtype == torch.float64
    loss = LpipsLoss(size=None)
    for index in (0, 17):
        pair = (images[index : index + 1].float() / 255 for images in (produced, reference))
        assert distances[index].item() == pytest.approx(loss(*pair).item(), rel=1e-4)


def test_worse_images_are_further_away(files, photographs, spoil, value_of_pairs):
    reference = photographs(2, 32)
    assert Lpips().measure(reference, reference).tolist() == [0.0, 0.0]
    values = [value_of_pairs(Lpips(), reference, spoil(reference, quality)) for quality in (3, 80)]
    assert values[0] > values[1] > 0


def test_backbone_and_both_files_are_part_of_the_protocol(files):
    protocol = Lpips.protocol()
    assert protocol["backbone"] == "vgg16"
    assert len(protocol["weights_sha256"]) == len(protocol["linear_sha256"]) == 64


def test_missing_files_are_told(tmp_path, monkeypatch):
    monkeypatch.setenv("VTBENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(WeightsError, match=r"vgg16-397923af\.pth is missing.*place it in"):
        Lpips.check()
