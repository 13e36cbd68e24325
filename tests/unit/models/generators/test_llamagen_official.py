from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from vtbench.errors import WeightsError
from vtbench.models.generators.base import GeneratorSize
from vtbench.models.generators.guidance import scales
from vtbench.models.generators.llamagen import LlamaGen
from vtbench.models.generators.llamagen_official import convert_state, official_config, official_guidance

GOLDEN = Path(__file__).parents[3] / "parity" / "data" / "llamagen_gpt.safetensors"


@pytest.fixture(scope="module")
def official_state():
    """Return the names and weights of a small official checkpoint."""
    return {key[len("state/") :]: value for key, value in load_file(GOLDEN).items() if key.startswith("state/")}


def test_names_and_shapes_are_ours_with_none_left_over(official_state):
    size = GeneratorSize(width=64, num_layers=2, num_heads=4)
    model = LlamaGen(official_config(size, grid_size=(4, 4), num_classes=10, codebook_size=48, ffn_multiple=16))
    converted = convert_state(official_state)
    assert {name: value.shape for name, value in converted.items()} == {
        name: value.shape for name, value in model.state_dict().items()
    }
    assert sum(v.numel() for v in converted.values()) == sum(v.numel() for v in official_state.values())


def test_the_gate_comes_before_what_it_gates(official_state):
    joined = convert_state(official_state)["trunk.blocks.1.ffn.gate_up.weight"]
    assert torch.equal(joined[:176], official_state["layers.1.feed_forward.w1.weight"])
    assert torch.equal(joined[176:], official_state["layers.1.feed_forward.w3.weight"])


def test_another_models_weights_are_refused(official_state):
    with pytest.raises(WeightsError, match="no LlamaGen GPT"):
        convert_state({"tok_embeddings.codebooks.0.weight": torch.zeros(1, 4)})
    del (broken := dict(official_state))["layers.1.feed_forward.w3.weight"]
    with pytest.raises(WeightsError, match="not complete"):
        convert_state(broken)


@pytest.mark.parametrize(
    ("arguments", "expected"),
    [((4.0,), [4, 4, 4, 4, 4]), ((4.0, 1), [4, 4, 4, 1, 1]), ((4.0, 0), [4, 4, 1, 1, 1]), ((0.5,), [1, 1, 1, 1, 1])],
)
def test_the_official_interval_counts_steps_after_the_prefill(arguments, expected):
    assert scales(official_guidance(*arguments), 5) == expected
