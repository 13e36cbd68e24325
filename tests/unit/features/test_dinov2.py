"""DINOv2 reads the authors' file, here a small one of the same form."""

import pytest
import torch
from torch.nn import functional as F

from vtbench.errors import WeightsError
from vtbench.features import FEATURES
from vtbench.features.dino_vit import DinoVit
from vtbench.features.dinov2 import FILE_NAME, DinoV2


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("VTBENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path


def _small_state(width=64, depth=1, grid=37, patch=14):
    torch.manual_seed(0)
    state = {
        "cls_token": torch.randn(1, 1, width),
        "mask_token": torch.zeros(1, width),
        "pos_embed": torch.randn(1, 1 + grid**2, width),
        "patch_embed.proj.weight": 0.05 * torch.randn(width, 3, patch, patch),
        "patch_embed.proj.bias": torch.zeros(width),
        "norm.weight": torch.ones(width),
        "norm.bias": torch.zeros(width),
    }
    shapes = {"attn.qkv": (3 * width, width), "attn.proj": (width, width), "mlp.fc1": (4 * width, width)}
    for name, shape in (shapes | {"mlp.fc2": (width, 4 * width)}).items():
        state |= {f"blocks.0.{name}.weight": 0.1 * torch.randn(shape), f"blocks.0.{name}.bias": torch.zeros(shape[0])}
    for part in ("norm1", "norm2"):
        state |= {f"blocks.0.{part}.weight": torch.ones(width), f"blocks.0.{part}.bias": torch.zeros(width)}
    return state | {f"blocks.0.{part}.gamma": torch.ones(width) for part in ("ls1", "ls2")}


def test_images_of_any_size_become_the_class_token_at_224(folder):
    torch.save(_small_state(), folder / FILE_NAME)
    network = FEATURES.load("dinov2")().to(torch.device("cpu"))
    images = torch.randint(0, 256, (2, 3, 50, 40), dtype=torch.uint8)
    resized = F.interpolate(images / 255, (224, 224), mode="bicubic", antialias=True).clamp(0, 1)
    found = network.extract(images)
    assert set(found) == {"pooled"}
    torch.testing.assert_close(found["pooled"], DinoVit(_small_state()).class_token(resized))
    at_size = torch.randint(0, 256, (1, 3, 224, 224), dtype=torch.uint8)
    assert torch.equal(network.features(at_size), DinoVit(_small_state()).class_token(at_size / 255))


def test_missing_weights_name_the_file_and_its_source(folder):
    with pytest.raises(WeightsError, match=r"dinov2_vitl14_pretrain\.pth is missing.*https://.*place it in"):
        DinoV2()


def test_a_file_that_holds_something_else_is_refused(folder):
    torch.save({"other": torch.zeros(1)}, folder / FILE_NAME)
    with pytest.raises(WeightsError, match="does not hold DINOv2"):
        DinoV2()
