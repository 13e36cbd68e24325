import subprocess
import sys
from collections import Counter
from textwrap import dedent

import pytest
import torch

from vtbench.cost.calls import Head, Prefill, Sequence, Step, conditions
from vtbench.cost.flops import count_flops
from vtbench.cost.model_cost import count_model
from vtbench.cost.tokenizer import count_tokenizer
from vtbench.errors import CostError, ResolutionError
from vtbench.models.generators.base import GeneratorSize
from vtbench.models.generators.llamagen import LlamaGen, LlamaGenConfig
from vtbench.models.generators.vibetoken_gen import VibeTokenGen, VibeTokenGenConfig
from vtbench.models.tokenizers.vibetoken import VibeToken, VibeTokenConfig
from vtbench.schema.convention import CONVENTIONS, convention
from vtbench.schema.cost import Workload

SMALL = GeneratorSize(width=16, num_layers=2, num_heads=2)
FIXED = {"patch_embed": "fixed", "patch_size": 16}


def _tokenizer(**options):
    with torch.device("meta"):
        return VibeToken(VibeTokenConfig(**options))


def _generator(name="llamagen", **options):
    with torch.device("meta"):
        if name == "llamagen":
            return LlamaGen(LlamaGenConfig(**{"size": SMALL, "grid_size": (3, 4), "codebook_size": 20} | options))
        defaults = {"size": SMALL, "max_num_tokens": 12, "num_codebooks": 2, "codebook_size": 8, "num_head_layers": 1}
        return VibeTokenGen(VibeTokenGenConfig(**defaults | options))


def _gflops(cost, name, component=None):
    return convention(name).figure(cost, component) / 1e9


def _forward_gflops(model, num_tokens):
    """Return convention -> figure of a generator's `forward` alone, which takes a fifth of the time."""
    indices = torch.empty(1, model.num_codebooks, num_tokens, dtype=torch.int64)
    count = count_flops(Sequence(model), indices, *conditions(1))
    products = [p.model_copy(update={"module": p.module.removeprefix("model.")}) for p in count.products]
    return {
        name: rule.apply(sum(product.macs for product in products if rule.counts(product))) / 1e9
        for name, rule in CONVENTIONS.items()
    }


def test_the_published_ablation_in_full():
    """Small-Small with the slides' adaptive patches at 1024 x 1024; the quantiser's distances (0.54) are ours."""
    cost = count_model("ss", _tokenizer(), Workload(resolution="1024x1024", num_tokens=256))
    assert _gflops(cost, "hook_no_mha") == pytest.approx(89.5, rel=1e-3)
    assert _gflops(cost, "full") == pytest.approx(189.5, rel=0.005)
    assert _gflops(cost, "full", "quantize") == pytest.approx(2 * 256 * 8 * 4096 * 32 / 1e9)


@pytest.mark.parametrize(("side", "linear_only", "full"), [(16, 711.4, 730.9), (64, 11_341, 16_290)])
def test_llamagen_xxl_costs_what_was_published(side, linear_only, full):
    gflops = _forward_gflops(_generator(size="xxl", grid_size=(side, side), codebook_size=16384), side * side)
    assert gflops["linear_only"] == pytest.approx(linear_only, rel=1e-3)
    assert gflops["full"] == pytest.approx(full, rel=1e-3)


@pytest.mark.parametrize(
    ("size", "gflops"),
    [("b", (50.1, 799)), ("l", (167.1, 2664)), ("xl", (386.7, 6165)), ("3b", (1563, 24_917))],
)
def test_the_other_sizes_of_llamagen_too(size, gflops):
    for side, expected in zip((16, 64), gflops, strict=True):
        model = _generator(size=size, grid_size=(side, side), codebook_size=16384)
        assert _forward_gflops(model, side * side)["linear_only"] == pytest.approx(expected, rel=2e-3)


def test_vibetoken_gen_xxl_costs_what_was_published_without_its_head():
    official = {"max_num_tokens": 65, "num_codebooks": 8, "codebook_size": 4096, "num_head_layers": 4}
    model = _generator("vibetoken_gen", size="xxl", **official)
    gflops = _forward_gflops(model, 65)
    assert gflops["trunk_only"] == pytest.approx(179.4, rel=1e-3)
    assert gflops["linear_only"] == pytest.approx(302, rel=0.01)
    assert gflops["linear_only"] - gflops["trunk_only"] == pytest.approx(124, rel=0.01)
    assert gflops["full"] > gflops["linear_only"]


@pytest.mark.slow
def test_a_large_model_is_counted_in_seconds_without_its_weights():
    """LlamaGen-XXL at 1024 x 1024 in a process of its own; its weights alone would be 5.6 GB."""
    code = """
        import resource, torch
        from vtbench.cost.model_cost import count_model
        from vtbench.models.generators.llamagen import LlamaGen, LlamaGenConfig
        from vtbench.schema.cost import Workload
        with torch.device("meta"):
            model = LlamaGen(LlamaGenConfig(size="xxl", grid_size=(64, 64)))
        cost = count_model("xxl", model, Workload(resolution="1024x1024"))
        used = resource.getrusage(resource.RUSAGE_SELF)
        print(cost.kv_cache_bytes, used.ru_utime + used.ru_stime, used.ru_maxrss * 1024)
    """
    done = subprocess.run([sys.executable, "-c", dedent(code)], capture_output=True, text=True, check=True)
    cache, seconds, peak = done.stdout.split()
    assert int(cache) == 2 * 2 * 48 * 1536 * 4096
    assert float(seconds) < 30  # of the processor; about 8 on an idle machine
    assert float(peak) < 2e9


@pytest.mark.parametrize(("name", "num_tokens"), [("llamagen", 2), ("llamagen", 5), ("vibetoken_gen", 4)])
def test_sampling_is_the_sum_of_its_counted_steps(name, num_tokens):
    """On the doubled batch of guidance as well."""
    model = _generator(name)
    cost = count_model(name, model, Workload(resolution="64x96", num_tokens=num_tokens, batch_size=2))
    for component, rows in (("sampling", 2), ("sampling_cfg", 4)):
        token = torch.empty(rows, model.num_codebooks, 1, dtype=torch.int64)
        counts = [count_flops(Prefill(model, num_tokens), *conditions(rows))]
        counts += [count_flops(Step(model, num_tokens, place), token) for place in range(1, num_tokens)]
        counts += num_tokens * [count_flops(Head(model), torch.empty(rows, 1, 16))]
        expected = Counter()
        for product in (product for count in counts for product in count.products):
            expected[product.module.removeprefix("model."), product.kind, product.hooked] += product.macs
        found = cost.component(component)
        assert {(p.module, p.kind, p.hooked): p.macs for p in found.products} == expected
        places = sum(range(2, num_tokens + 1))
        assert found.cache_bytes == rows * places * 2 * 2 * 2 * 16
        if rows == 2:
            assert found.weight_bytes == 2 * sum(count.weight_elements for count in counts)


def test_the_components_of_a_generator():
    cost = count_model("g", _generator(), Workload(resolution="64x96"))
    assert [part.name for part in cost.components] == [
        "forward", "prefill", "step", "head", "sampling", "sampling_cfg", "training_step"
    ]  # fmt: skip
    assert [part.name for part in cost.components if part.in_total] == ["forward"]
    assert cost.kind == "generator"
    assert cost.workload.num_tokens == 12
    assert cost.component("step").cache_bytes == cost.kv_cache_bytes == 12 * 2 * 2 * 2 * 16
    layers = 2 * (4 * 16 * 16 + 3 * 16 * 256)  # of one place: projections and SwiGLU
    assert cost.component("prefill").macs == layers + 2 * 2 * 16
    assert cost.component("step").macs == layers + 2 * 2 * 12 * 16
    assert cost.component("head").macs == 16 * 20
    assert {part.coverage for part in cost.components} == {1.0, None}
    plain, guided = cost.component("sampling"), cost.component("sampling_cfg")
    assert guided.macs == 2 * plain.macs
    assert guided.cache_bytes == 2 * plain.cache_bytes
    assert guided.weight_bytes == plain.weight_bytes  # both halves of the batch share what is read


def test_one_token_takes_no_step():
    cost = count_model("g", _generator(), Workload(resolution="64x96", num_tokens=1))
    assert cost.component("step") is None
    assert cost.component("sampling").cache_bytes == 0


def test_the_components_of_a_tokenizer():
    tokenizer = _tokenizer(**FIXED, encoder="tiny", decoder="tiny", num_latent_tokens=8, codebook_size=16)
    cost = count_model("t", tokenizer, Workload(resolution="64x32", num_tokens=4))
    assert {part.name: part.in_total for part in cost.components} == {
        "encode": True, "quantize": True, "decode": True, "training_step": False
    }  # fmt: skip
    assert cost.kv_cache_bytes is None
    assert cost.weight_bytes == 2 * cost.num_parameters
    encode, training = cost.component("encode"), cost.component("training_step")
    assert {p.module for p in encode.products if p.kind == "conv"} == {"encoder.patch_embed.conv"}
    forward = sum(part.macs for part in cost.components if part.in_total)
    assert 2.8 * forward < training.macs < 3 * forward
    assert "losses" in training.note
    assert cost.activation_bytes["training"] > cost.activation_bytes["inference"] > 0


def test_a_batch_costs_its_number_of_images():
    one, three = (
        count_model("g", _generator(), Workload(resolution="64x64", num_tokens=4, batch_size=batch)) for batch in (1, 3)
    )
    for first, second in zip(one.components, three.components, strict=True):
        assert second.macs == 3 * first.macs
    assert three.activation_bytes == {name: 3 * size for name, size in one.activation_bytes.items()}
    assert three.kv_cache_bytes == 3 * one.kv_cache_bytes
    assert three.weight_bytes == one.weight_bytes


def test_a_forced_patch_is_taken_in_encoder_and_decoder():
    tokenizer = _tokenizer(encoder="tiny", decoder="tiny")
    cost = count_model("t", tokenizer, Workload(resolution="128x128", num_tokens=4, patch=32))
    counts = count_tokenizer(tokenizer, (128, 128), 4, patch=32)
    assert cost.component("encode").macs == counts.encode.macs < count_tokenizer(tokenizer, (128, 128), 4).encode.macs
    assert cost.component("decode").macs == counts.decode.macs


def test_work_that_a_model_cannot_do_is_refused():
    tokenizer, generator = _tokenizer(**FIXED), _generator()
    with pytest.raises(ResolutionError, match="do not tile 100x100"):
        count_model("t", tokenizer, Workload(resolution="100x100"))
    with pytest.raises(ResolutionError, match="a patch of 8x8 asked for; this model's is fixed at 16"):
        count_model("t", tokenizer, Workload(resolution="64x64", patch=8))
    with pytest.raises(ResolutionError, match="13 tokens asked for; 'g' has 1 to 12"):
        count_model("g", generator, Workload(resolution="64x96", num_tokens=13))
    with pytest.raises(CostError, match="'g' is a generator and has no patch"):
        count_model("g", generator, Workload(resolution="64x96", patch=8))
