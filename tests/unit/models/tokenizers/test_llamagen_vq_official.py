import argparse
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from vtbench.errors import WeightsError
from vtbench.models.tokenizers.llamagen_vq import LlamaGenVq, LlamaGenVqConfig
from vtbench.models.tokenizers.llamagen_vq_official import convert_state, read_official

GOLDEN = Path(__file__).parents[3] / "parity" / "data" / "llamagen_vq.safetensors"


@pytest.fixture(scope="module")
def official_state():
    """Return the names and weights of a small official checkpoint."""
    return {key[len("state/") :]: value for key, value in load_file(GOLDEN).items() if key.startswith("state/")}


def test_names_and_shapes_are_ours_with_none_left_over(official_state):
    config = LlamaGenVqConfig(width=32, width_factors=(2, 1), num_res_blocks=1, latent_width=16, codebook_size=64)
    expected = {name: value.shape for name, value in LlamaGenVq(config).state_dict().items()}
    converted = convert_state({**official_state, "quantize.codebook_used": torch.zeros(65536)})
    assert {name: value.shape for name, value in converted.items()} == expected
    assert sum(v.numel() for v in converted.values()) == sum(v.numel() for v in official_state.values())


def test_queries_keys_and_values_are_joined_in_this_order(official_state):
    name = "decoder.mid.1"
    joined = convert_state(official_state)["decoder.middle.1.qkv.weight"]
    assert torch.equal(joined, torch.cat([official_state[f"{name}.{letter}.weight"] for letter in "qkv"]))


def test_another_models_weights_and_incomplete_ones_are_refused(official_state):
    with pytest.raises(WeightsError, match="no VQ tokenizer of LlamaGen"):
        convert_state({"encoder.conv_in.weight": torch.zeros(1)})
    lacking = {key: value for key, value in official_state.items() if key != "encoder.mid.1.k.bias"}
    with pytest.raises(WeightsError, match=r"comes without 'encoder.middle.1.k.bias'"):
        convert_state(lacking)


@pytest.mark.parametrize(
    ("keys", "taken"), [(("model",), "model"), (("model", "ema"), "ema"), (("state_dict",), "state_dict")]
)
def test_a_checkpoint_gives_its_averaged_weights_if_it_has_any(tmp_path, keys, taken):
    path = tmp_path / "vq.pt"
    torch.save({"steps": 3} | {key: {"name": torch.full((2,), float(len(key)))} for key in keys}, path)
    assert read_official(path)["name"].tolist() == [len(taken)] * 2


def test_safetensors_are_read_as_they_are(tmp_path):
    save_file({"name": torch.ones(2)}, tmp_path / "vq.safetensors")
    assert read_official(tmp_path / "vq.safetensors")["name"].tolist() == [1, 1]


def test_what_is_no_checkpoint_is_refused_by_name(tmp_path):
    with pytest.raises(WeightsError, match="there is no file"):
        read_official(tmp_path / "missing.pt")
    (tmp_path / "text.safetensors").write_text("no weights")
    with pytest.raises(WeightsError, match="cannot be read as weights"):
        read_official(tmp_path / "text.safetensors")
    torch.save({"weights": {}}, tmp_path / "other.pt")
    with pytest.raises(WeightsError, match="none of the keys 'ema', 'model', 'state_dict'"):
        read_official(tmp_path / "other.pt")


def test_a_checkpoint_with_foreign_objects_is_never_unpickled(tmp_path):
    torch.save({"model": {}, "args": argparse.Namespace(lr=1)}, tmp_path / "objects.pt")
    with pytest.raises(WeightsError, match="holds more than tensors"):
        read_official(tmp_path / "objects.pt")
