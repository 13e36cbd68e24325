from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from vtbench.errors import WeightsError
from vtbench.models.nn.transformer import TransformerConfig
from vtbench.models.tokenizers.vibetoken import VibeToken
from vtbench.models.tokenizers.vibetoken_official import convert_state, official_config

GOLDEN = Path(__file__).parents[3] / "parity" / "data" / "vibetoken.safetensors"


@pytest.fixture(scope="module")
def official_state():
    """Return the names and weights of a small official checkpoint."""
    return {key[len("state/") :]: value for key, value in load_file(GOLDEN).items() if key.startswith("state/")}


@pytest.fixture(scope="module")
def model():
    """Return a model of the golden file's architecture."""
    return VibeToken(
        official_config(
            TransformerConfig(width=32, num_layers=2, num_heads=2),
            TransformerConfig(width=24, num_layers=3, num_heads=3),
            num_latent_tokens=16,
            latent_width=32,
            codebook_size=16,
        )
    )


def test_names_and_shapes_are_ours_with_none_left_over(official_state, model):
    converted = convert_state(official_state)
    expected = {name: value.shape for name, value in model.state_dict().items()}
    assert {name: value.shape for name, value in converted.items()} == expected
    assert sum(v.numel() for v in converted.values()) == sum(v.numel() for v in official_state.values())


def test_codebooks_are_joined_in_the_order_of_their_numbers():
    state = {
        f"quantize.codebooks.{i}.embedding.weight": torch.full((2, 3), float(i)) for i in (10, 9, 0, 11, *range(1, 9))
    }
    assert convert_state(state)["quantizer.codebooks"][:, 0, 0].tolist() == list(range(12))


def test_another_models_weights_are_refused():
    with pytest.raises(WeightsError, match="no VibeToken tokenizer"):
        convert_state({"encoder.class_embedding": torch.zeros(1, 4)})


def test_the_config_takes_the_official_side_of_every_choice():
    config = official_config("small", "large")
    assert (config.encoder, config.decoder) == ("small", "large")
    assert (config.pos_embed, config.pos_grid_sampling, config.patch_embed) == ("grid", "official", "pinv")
    assert (config.patch_sizes, config.kernel_size, config.blur_init, config.official) == (
        (8, 16, 32),
        32,
        "delta",
        True,
    )
