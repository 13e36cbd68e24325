import pytest

from vtbench.cost.tokenizer import count_tokenizer
from vtbench.study.expand import expand
from vtbench.study.forward_flops import generator_flops, tokenizer_flops
from vtbench.study.meta import build_on_meta, generator_on_meta


def test_a_tokenizer_of_one_size_is_what_its_calls_cost(study):
    config = next(iter(expand(study).runs.values())).config
    model = build_on_meta(config.tokenizer)
    assert tokenizer_flops(model, config) == pytest.approx(count_tokenizer(model, (16, 16)).gflops * 1e9, rel=0.01)


def test_a_generator_costs_two_flops_a_parameter_and_token_at_least(make_generator_plan):
    plan = make_generator_plan()
    generator = plan.runs[plan.cells[0].run_id].config.generator
    model = generator_on_meta(generator.model)
    blocks = [each for name, each in model.named_parameters() if "layers" in name or "blocks" in name]
    in_blocks = sum(each.numel() for each in blocks)
    assert in_blocks > 0
    assert generator_flops(model) > 2 * in_blocks
