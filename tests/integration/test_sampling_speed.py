"""The sampling loop against a plain one on the same weights, and what sampling costs as images grow."""

import importlib.util
import re
from pathlib import Path

import pytest
import torch

from vtbench.cost.model_cost import count_sampling
from vtbench.models.generators.base import Condition, GeneratorSize
from vtbench.models.generators.llamagen import LlamaGen, LlamaGenConfig

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "sampling.py"


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("benchmark_sampling", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_plain_loop_computes_what_ours_does(benchmark):
    torch.manual_seed(0)
    size = GeneratorSize(width=32, num_layers=2, num_heads=2)
    model = LlamaGen(
        LlamaGenConfig(size=size, grid_size=(3, 4), codebook_size=50, num_classes=5, ffn_multiple=8)
    ).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    labels = torch.arange(4)
    ours = model.generate(Condition(labels=labels), cfg_scale=benchmark.CFG_SCALE, greedy=True)[:, 0]
    assert torch.equal(benchmark.plain_loop(model, labels, 12, greedy=True), ours)
    assert ours.unique().numel() > 5


def test_ratios_are_taken_round_by_round(benchmark):
    times = {"slow": [(2.0, 1.0), (9.0, 1.0), (4.0, 1.0)], "fast": [(1.0, 1.0), (3.0, 2.0), (1.0, 4.0)]}
    assert benchmark.ratios(times, "slow", "fast", 0) == (3.0, 2.0, 4.0)


@pytest.mark.slow
@pytest.mark.timing
def test_a_cache_that_is_concatenated_is_slower_in_long_sequences(benchmark, benchmark_output):
    case = next(number for number, name in enumerate(benchmark.CASES) if "1024 tokens" in name)
    output = benchmark_output(SCRIPT, "--cases", case, "--tokens", 512, "--rounds", 3)
    assert "512 sampled, batch 16" in output
    # the benchmark's figure is of 1,024 tokens; of half as many 1.4 to 2 was seen, and this must hold on any machine
    assert float(re.search(r"CPU second: .* ratio ([\d.]+)", output)[1]) > 1.05


def test_a_fixed_number_of_tokens_costs_the_same_at_four_times_the_side_and_a_grid_sixteen_times(benchmark):
    def macs(model):
        (guided,) = (part for part in count_sampling(model, model.max_num_tokens) if part.name == "sampling_cfg")
        return sum(product.macs for product in guided.products)

    small, large = (benchmark.grid_like(side // 8)[0] for side in benchmark.SIDES)
    assert large.max_num_tokens == 16 * small.max_num_tokens
    # each token's own work, and attention to 16 times as many before it
    assert 16 * macs(small) < macs(large) < 32 * macs(small)
    fixed, _ = benchmark.vibetoken_like()
    assert fixed.max_num_tokens == small.max_num_tokens  # at any size of the image


@pytest.mark.slow
@pytest.mark.timing
def test_seconds_grow_as_the_count_does(benchmark_output):
    output = benchmark_output(SCRIPT, "--growth", "--batch", 2, "--rounds", 3)

    def grown(name, part):
        return float(re.search(rf"^{name}, {part}: ([\d.]+) times the CPU seconds", output, re.MULTILINE)[1])

    # 1.00, below 2 and above 16 on quiet cores
    assert grown("fixed", "sample") < 1.5
    assert grown("fixed", "both") < 2
    assert grown("grid", "sample") > 10
