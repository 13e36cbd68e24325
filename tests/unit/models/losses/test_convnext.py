import hashlib

import pytest
import torch
from torch import nn
from torchvision.models.convnext import CNBlockConfig, ConvNeXt

from vtbench.errors import WeightsError
from vtbench.models.losses import convnext
from vtbench.models.losses.convnext import ConvnextLoss


def _small_convnext(weights=None):
    """ConvNeXt with one narrow block a stage: the real one is 200 MB."""
    widths = (4, 6, 8, 10)
    blocks = [CNBlockConfig(a, b, 1) for a, b in zip(widths, (*widths[1:], None), strict=True)]
    return ConvNeXt(blocks, num_classes=7)


@pytest.fixture
def file(tmp_path, monkeypatch):
    monkeypatch.setenv("VTBENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    torch.manual_seed(0)
    path = tmp_path / "network.pth"
    torch.save(_small_convnext().state_dict(), path)
    named = path.rename(tmp_path / f"convnext_small-{hashlib.sha256(path.read_bytes()).hexdigest()[:8]}.pth")
    monkeypatch.setattr(convnext, "_FILE", named.name)
    monkeypatch.setattr(convnext, "convnext_small", _small_convnext)
    return named


def test_the_distance_is_that_of_the_logits_at_224(file):
    network = _small_convnext().eval()
    network.load_state_dict(torch.load(file, weights_only=True))
    a, b = torch.rand(2, 1, 3, 224, 224)
    mean, std = (torch.tensor(v)[:, None, None] for v in ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225]))
    with torch.no_grad():
        expected = (network((a - mean) / std) - network((b - mean) / std)).square().mean()
    assert expected > 0
    torch.testing.assert_close(ConvnextLoss()(a, b), expected)


def test_other_sizes_are_resized_and_gradients_reach_the_reconstruction_alone():
    sides = []

    class Network(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.head = nn.Linear(3, 5)

        def forward(self, images):
            sides.append(tuple(images.shape[2:]))
            return self.head(images.mean(dim=(2, 3)))

    loss = ConvnextLoss(Network())
    reconstruction = torch.rand(2, 3, 40, 24, requires_grad=True)
    loss(reconstruction, torch.rand(2, 3, 40, 24)).backward()
    assert sides == [(224, 224)] * 2
    assert reconstruction.grad.abs().sum() > 0
    assert not any(parameter.requires_grad for parameter in loss.parameters())


def test_check_names_the_missing_file(tmp_path, monkeypatch):
    monkeypatch.setenv("VTBENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "hub"))
    with pytest.raises(WeightsError, match=r"convnext_s.*convnext_small-0c510722\.pth is missing"):
        ConvnextLoss.check()


def test_a_truncated_file_is_refused(file):
    file.write_bytes(file.read_bytes()[:-10])
    with pytest.raises(WeightsError, match="SHA-256"):
        ConvnextLoss.check()
