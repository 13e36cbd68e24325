"""The cost of an image is that of its tokens and of its decoding, each told apart."""

import pytest
import torch

from vtbench.cost.generation import GenerationCost, measure_generation
from vtbench.cost.model_cost import count_model
from vtbench.cost.tokenizer import count_tokenizer
from vtbench.models.generators.base import Condition, GeneratorSize
from vtbench.models.generators.vibetoken_gen import VibeTokenGen, VibeTokenGenConfig
from vtbench.models.tokenizers.vibetoken import VibeToken, VibeTokenConfig
from vtbench.schema.cost import Workload
from vtbench.schema.generation import GenerationConfig

pytestmark = pytest.mark.slow

SIZE = {"width": 32, "num_layers": 1, "num_heads": 2}


@pytest.fixture(scope="module")
def values():
    torch.manual_seed(0)
    tokenizer = VibeToken(
        VibeTokenConfig.model_validate(
            {
                "encoder": SIZE,
                "decoder": SIZE,
                "num_latent_tokens": 6,
                "latent_width": 16,
                "num_codebooks": 2,
                "codebook_size": 8,
                "pos_grid_size": 4,
                "patch_size": 8,
                "kernel_size": 16,
                "patch_sizes": (8,),
                "min_patches": 4,
                "max_patches": 36,
            }
        )
    ).eval()
    generator = VibeTokenGen(
        VibeTokenGenConfig(
            size=GeneratorSize(**SIZE),
            max_num_tokens=6,
            num_classes=3,
            num_codebooks=2,
            codebook_size=8,
            ffn_multiple=8,
        )
    ).eval()
    calls = []

    def sample(sampling, num_tokens):
        calls.append((sampling.cfg_scale, num_tokens))
        condition = Condition(labels=torch.tensor([0, 1]), height=torch.full((2,), 16.0), width=torch.full((2,), 16.0))
        return generator.generate(condition, num_tokens, seeds=[0, 1], cfg_scale=sampling.cfg_scale)

    cost = GenerationCost(
        generator=generator,
        tokenizer=tokenizer,
        sample=sample,
        decode=lambda codes, size, num_tokens: tokenizer.detokenize(codes, size),
        checkpoint="ema@1",
        batch_size=2,
        repeats=2,
    )
    points = GenerationConfig(
        resolutions=("16x16", "32x32"), num_tokens=(6,), cfg_scale=(1.0, 2.0), num_samples=4
    ).points
    return points, list(measure_generation(cost, points)), generator, tokenizer, calls


def _named(found, point):
    return {v.name: v for v in found if v.params.get("resolution") == point.resolution}


def test_tokens_and_decoder_are_counted_as_cost_counts_them(values):
    points, found, generator, tokenizer, _ = values
    counted = count_model("g", generator, Workload(resolution="16x16", num_tokens=6))
    for point, part in zip(points, found, strict=True):
        named = _named(part, point)
        name = "sampling" if point.sampling.cfg_scale == 1 else "sampling_cfg"
        assert named["gflops_sampling"].value == 2 * counted.component(name).macs / 1e9
        size = tuple(int(side) for side in point.resolution.split("x"))
        assert named["gflops_decoder"].value == count_tokenizer(tokenizer, size).decode.flops / 1e9
        assert named["gflops"].value == named["gflops_sampling"].value + named["gflops_decoder"].value
        assert named["gflops"].params == {**point.params, "convention": "full"}


def test_seconds_are_of_an_image_with_fastest_and_slowest(values):
    points, found, _, _, _ = values
    for point, part in zip(points, found, strict=True):
        named = _named(part, point)
        whole, tokens, decoder = (
            named[name] for name in ("seconds_per_image", "seconds_per_image_sampling", "seconds_per_image_decoder")
        )
        assert whole.value == pytest.approx(tokens.value + decoder.value)
        assert all(v.interval[0] <= v.value <= v.interval[1] and not v.deterministic for v in (whole, tokens, decoder))
        assert whole.params == point.params


def test_tokens_are_measured_once_for_each_way_of_sampling(values):
    points, found, generator, _, calls = values
    # one call for the codes of each size's decoder, and a warm-up and two repeats a way of sampling
    assert sorted(calls) == [(1.0, 6)] * 5 + [(2.0, 6)] * 3
    tokens = [
        _named(part, point)["seconds_per_image_sampling"].value for point, part in zip(points, found, strict=True)
    ]
    assert tokens[0] == tokens[1]
    assert tokens[2] == tokens[3]
    (parameters,) = {v.value for part in found for v in part if v.name == "num_parameters"}
    assert parameters == sum(p.numel() for p in generator.parameters())
