from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from vtbench.errors import WeightsError
from vtbench.models.generators.base import GeneratorSize
from vtbench.models.generators.guidance import scales
from vtbench.models.generators.vibetoken_gen import VibeTokenGen
from vtbench.models.generators.vibetoken_gen_official import convert_state, official_config, official_guidance

DATA = Path(__file__).parents[3] / "parity" / "data"


def _state(name):
    return {key[len("state/") :]: value for key, value in load_file(DATA / name).items() if key.startswith("state/")}


@pytest.mark.parametrize(
    ("file", "options"),
    [
        ("vibetoken_gen.safetensors", {}),
        ("vibetoken_gen_qk_cap.safetensors", {"head_norm": "qk", "score_cap": 50.0}),
    ],
)
def test_names_and_shapes_are_ours_with_none_left_over(file, options):
    config = official_config(
        GeneratorSize(width=64, num_layers=2, num_heads=4),
        num_head_layers=2,
        num_classes=10,
        codebook_size=32,
        ffn_multiple=16,
        **options,
    )
    official = _state(file)
    converted = convert_state(official)
    assert {name: value.shape for name, value in converted.items()} == {
        name: value.shape for name, value in VibeTokenGen(config).state_dict().items()
    }
    assert sum(v.numel() for v in converted.values()) == sum(v.numel() for v in official.values())


def test_codebooks_are_joined_in_the_order_of_their_numbers():
    numbers = (10, 9, 0, 11, *range(1, 9))
    state = {f"tok_embeddings.codebooks.{i}.weight": torch.full((2, 3), float(i)) for i in numbers}
    state |= {f"output.codebooks.{i}.weight": torch.full((2, 3), float(i)) for i in numbers if i < 11}
    converted = convert_state(state)
    assert converted["token_embed.weight"][::2, 0].tolist() == list(range(12))
    assert converted["code_embed.weight"][::2, 0].tolist() == list(range(11))


@pytest.mark.parametrize("missing", ["tok_embeddings", "output"])
def test_another_models_weights_are_refused(missing):
    state = _state("vibetoken_gen.safetensors")
    kept = {key: value for key, value in state.items() if not key.startswith(f"{missing}.codebooks")}
    with pytest.raises(WeightsError, match=f"no '{missing}.codebooks.*this is no VibeToken-Gen"):
        convert_state(kept)


def test_the_config_takes_the_codes_side_of_every_choice():
    config = official_config("xxl")
    assert (config.size, config.head_norm, config.score_cap, config.max_num_tokens) == ("xxl", "qkv", None, 65)


def test_the_official_schedule_hardly_falls_over_65_tokens():
    values = scales(official_guidance(), 65)
    assert values[0] == 16.0
    assert 15.9 < values[64] < 16.0
    assert scales(official_guidance(0.0), 3) == [1.0, 1.0, 1.0]
