"""DreamSim, on a small stand-in of DINO's ViT in files of the real ones' form."""

import json

import pytest
import safetensors.torch
import torch
from torch.nn import functional as F

from vtbench.errors import WeightsError
from vtbench.evaluate.metrics.dreamsim import DreamSim, load_network
from vtbench.features.dino_vit import DinoVit

WIDTH, DEPTH, RANK = 64, 2, 3
ADAPTER = "dino_vitb16_single_lora"


def _state():
    torch.manual_seed(0)
    state = {
        "cls_token": torch.randn(1, 1, WIDTH),
        "pos_embed": torch.randn(1, 1 + 14**2, WIDTH),
        "patch_embed.proj.weight": 0.05 * torch.randn(WIDTH, 3, 16, 16),
        "patch_embed.proj.bias": torch.zeros(WIDTH),
        "norm.weight": torch.ones(WIDTH),
        "norm.bias": torch.zeros(WIDTH),
    }
    shapes = {"attn.qkv": (3, 1), "attn.proj": (1, 1), "mlp.fc1": (4, 1), "mlp.fc2": (1, 4)}
    for block in range(DEPTH):
        for name, (rows, columns) in shapes.items():
            state[f"blocks.{block}.{name}.weight"] = 0.1 * torch.randn(rows * WIDTH, columns * WIDTH)
            state[f"blocks.{block}.{name}.bias"] = torch.zeros(rows * WIDTH)
        for name in ("norm1", "norm2"):
            state |= {
                f"blocks.{block}.{name}.weight": torch.ones(WIDTH),
                f"blocks.{block}.{name}.bias": torch.zeros(WIDTH),
            }
    return state


def _updates():
    torch.manual_seed(1)
    prefix = "base_model.model.extractor_list.0.model.blocks"
    return {
        f"{prefix}.{block}.attn.qkv.lora_{part}.weight": torch.randn(shape)
        for block in range(DEPTH)
        for part, shape in (("A", (RANK, WIDTH)), ("B", (3 * WIDTH, RANK)))
    }


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("VTBENCH_WEIGHTS", str(tmp_path))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path


@pytest.fixture
def files(folder):
    torch.save(_state(), folder / "dino_vitbase16_pretrain.pth")
    (folder / ADAPTER).mkdir()
    (folder / ADAPTER / "adapter_config.json").write_text(json.dumps({"r": RANK, "lora_alpha": 0.5}))
    safetensors.torch.save_file(_updates(), folder / ADAPTER / "adapter_model.safetensors")
    return folder


def test_low_rank_updates_are_added(files):
    state, updates = _state(), _updates()
    for block in range(DEPTH):
        key = f"base_model.model.extractor_list.0.model.blocks.{block}.attn.qkv.lora_"
        state[f"blocks.{block}.attn.qkv.weight"] += 0.5 / RANK * updates[f"{key}B.weight"] @ updates[f"{key}A.weight"]
    images = torch.rand(2, 3, 224, 224)
    torch.testing.assert_close(load_network().class_token(images), DinoVit(state).class_token(images))
    assert not torch.allclose(DinoVit(_state()).class_token(images), load_network().class_token(images))


def test_the_older_file_form_gives_the_same(files):
    images = torch.rand(1, 3, 224, 224)
    expected = load_network().class_token(images)
    (files / ADAPTER / "adapter_model.safetensors").unlink()
    torch.save(_updates(), files / ADAPTER / "adapter_model.bin")
    assert torch.equal(load_network().class_token(images), expected)


def test_distance_is_one_minus_the_cosine_of_centred_tokens(files, photographs, spoil):
    reference = photographs(17, 60)  # more than one pass of the network
    produced = spoil(reference, 5)
    distances = DreamSim().measure(reference, produced)
    assert distances.dtype == torch.float64
    network = load_network()
    pair = [
        F.interpolate(images[16:] / 255, (224, 224), mode="bicubic", antialias=True).clamp(0, 1)
        for images in (reference, produced)
    ]
    first, second = (network.class_token(images, normed=False)[0].double() for images in pair)
    expected = 1 - torch.corrcoef(torch.stack([first, second]))[0, 1]  # the cosine of centred vectors
    assert distances[16].item() == pytest.approx(expected.item(), abs=1e-5)


def test_worse_images_are_further_away(files, photographs, spoil, value_of_pairs):
    reference = photographs(2, 60)
    assert DreamSim().measure(reference, reference).tolist() == pytest.approx([0.0, 0.0], abs=1e-9)
    values = [value_of_pairs(DreamSim(), reference, spoil(reference, quality)) for quality in (2, 90)]
    assert values[0] > values[1] > 0


def test_all_files_are_part_of_the_protocol(files):
    before = DreamSim.protocol()
    (files / ADAPTER / "adapter_config.json").write_text(json.dumps({"r": RANK, "lora_alpha": 1.0}))
    after = DreamSim.protocol()
    assert before["weights_sha256"] == after["weights_sha256"]
    assert before["adapter_config_sha256"] != after["adapter_config_sha256"]


@pytest.mark.parametrize(
    ("missing", "message"),
    [
        ("dino_vitbase16_pretrain.pth", r"dino_vitbase16_pretrain\.pth is missing.*https://.*place it in"),
        (f"{ADAPTER}/adapter_config.json", r"adapter_config\.json is missing.*unpack it"),
        (f"{ADAPTER}/adapter_model.safetensors", r"adapter_model\.safetensors is missing"),
    ],
)
def test_missing_files_are_told(files, missing, message):
    (files / missing).unlink()
    with pytest.raises(WeightsError, match=message):
        DreamSim.check()


def test_updates_of_something_else_are_refused(files):
    safetensors.torch.save_file({"other": torch.zeros(1)}, files / ADAPTER / "adapter_model.safetensors")
    with pytest.raises(WeightsError, match="low-rank updates"):
        load_network()
