import pytest
import torch

from vtbench.cost.estimates import num_parameters
from vtbench.cost.tokenizer import count_tokenizer
from vtbench.store.remembered import Remembered
from vtbench.study import forward_flops
from vtbench.study.expand import expand
from vtbench.study.fairness import differences, facts
from vtbench.study.load import load_study
from vtbench.study.meta import build_on_meta


def test_a_model_on_the_meta_device_has_no_data(study):
    model = build_on_meta(next(iter(expand(study).runs.values())).config.tokenizer)
    assert {parameter.device for parameter in model.parameters()} == {torch.device("meta")}


def test_facts_of_one_size_are_three_forward_passes_of_each_image(study):
    plan = expand(study, seeds=2, set={"train.steps": 10})
    grid, rope = facts(plan)
    assert (grid.arm, rope.arm) == ("grid", "rope")
    assert (grid.images_seen, grid.steps, grid.num_tokens) == (20, 10, "4")
    model = build_on_meta(plan.runs[plan.cells[0].run_id].config.tokenizer)
    assert grid.num_parameters == num_parameters(model) > rope.num_parameters
    # fvcore's count of the same work, with one geometry possible: the two must agree
    assert grid.training_flops == pytest.approx(3 * 20 * count_tokenizer(model, (16, 16)).gflops * 1e9, rel=0.01)


def test_flops_are_the_mean_over_the_sizes(study):
    def flops(inputs):
        return facts(expand(study, set={"mixing.inputs": inputs}))[0].training_flops

    small, large = flops({"16x16": 1.0}), flops({"32x32": 1.0})
    assert large > 2 * small
    assert flops({"16x16": 3.0, "32x32": 1.0}) == pytest.approx(0.75 * small + 0.25 * large, rel=1e-6)


def test_tokens_and_flops_of_a_grid_follow_from_the_sizes(write_grid):
    study = load_study(write_grid())

    def found(inputs):
        return facts(expand(study, set={"mixing.inputs": inputs}))[0]

    small, large, both = found({"16x16": 1.0}), found({"16x32": 1.0}), found({"16x16": 3.0, "16x32": 1.0})
    assert (small.num_tokens, large.num_tokens, both.num_tokens) == ("64", "128", "64-128")
    assert both.training_flops == pytest.approx(0.75 * small.training_flops + 0.25 * large.training_flops, rel=1e-6)
    model = build_on_meta(next(iter(expand(study).runs.values())).config.tokenizer)
    counted = 3 * small.images_seen * count_tokenizer(model, (16, 16)).gflops * 1e9
    assert small.training_flops == pytest.approx(counted, rel=0.01)


def test_a_range_of_lengths(study):
    full = facts(expand(study))[0]
    short = facts(expand(study, set={"train.num_tokens": {"min": 1, "max": 3}}))[0]
    assert short.num_tokens == "1-3"
    assert short.training_flops < full.training_flops


def test_differences_are_said_and_equality_is_not(study):
    grid, rope = facts(expand(study))
    cheaper = rope.model_copy(
        update={"training_flops": grid.training_flops * 0.31, "num_parameters": grid.num_parameters}
    )
    assert differences((grid, cheaper)) == ["Arms differ in training FLOPs: grid 1.00x, rope 0.31x."]
    assert differences((grid, grid)) == differences(()) == []
    longer = grid.model_copy(update={"num_tokens": "8", "coordinates": {"train.steps": 3}})
    assert differences((grid, longer)) == ["Arms differ in the number of tokens: grid 4, grid (steps=3) 8."]


def test_what_a_scheme_of_lengths_saves(study):
    """Native saves in encoder and decoder, tail drop in the decoder alone, nested dropping nothing."""

    def flops(scheme, **lengths):
        changes = {"tokenizer.length_scheme": scheme, "train.num_tokens": {"min": 1, "max": 1, **lengths}}
        return facts(expand(study, set=changes))[0].training_flops

    full = facts(expand(study))[0].training_flops
    native, tail_drop, nested = flops("native"), flops("tail_drop"), flops("nested", per="sample")
    assert native < tail_drop < nested == full


def test_expected_work_is_at_the_mean_of_the_lengths_drawn(study):
    def facts_of(**lengths):
        return facts(expand(study, set={"train.num_tokens": lengths}))[0]

    two, four = (facts_of(min=number, max=number) for number in (2, 4))
    pow2, unifpow2 = facts_of(min=1, max=4, draw="pow2"), facts_of(min=1, max=4, draw="unifpow2")
    # means of 1, 2, 4 and of 1, 2, 4, 4, rounded down
    assert pow2.training_flops == unifpow2.training_flops == two.training_flops
    assert two.training_flops < four.training_flops
    assert (two.num_tokens, pow2.num_tokens, unifpow2.num_tokens) == ("2", "1-4 (pow2)", "1-4 (unifpow2)")


def test_a_generators_figures_stand_beside_its_tokenizers(make_plan, make_generator_plan):
    tokenizers, generators = facts(make_plan()), facts(make_generator_plan(generator__train__steps=6))
    for tokenizer, generator in zip(tokenizers, generators, strict=True):
        assert generator.tokenizer_parameters == tokenizer.num_parameters
        assert generator.tokenizer_flops == tokenizer.training_flops
        assert (generator.steps, generator.images_seen, generator.num_tokens) == (6, 12, "4")

    # trunk and head have one block of width 16 each (qkv, proj, SwiGLU of 256, scores and values), the head 16 entries
    def block(places):
        return 2 * places * (16 * 48 + 16 * 16 + 3 * 16 * 256) + 4 * places * places * 16

    forward = block(4) + 4 * block(4) + 2 * 16 * 16 * 16 + 2 * 2 * 16
    assert generators[0].training_flops == 3 * 12 * forward


def test_what_was_counted_once_is_not_counted_again(study, tmp_path, monkeypatch):
    (tmp_path / "runs").mkdir()
    cache_dir = tmp_path / "runs" / "cache"
    plan = expand(study)
    first = facts(plan, Remembered(cache_dir))
    assert first == facts(plan)

    def count(*_):
        raise AssertionError("counted again")

    monkeypatch.setattr(forward_flops, "tokenizer_flops", count)
    assert facts(plan, Remembered(cache_dir)) == first
    longer = facts(expand(study, set={"train.steps": 10 * first[0].steps}), Remembered(cache_dir))
    assert longer[0].training_flops == pytest.approx(10 * first[0].training_flops)
    with pytest.raises(AssertionError, match="counted again"):
        facts(expand(study, set={"mixing.inputs": {"32x32": 1.0}}), Remembered(cache_dir))


def test_counts_of_a_class_from_elsewhere_are_not_kept(study, tmp_path, monkeypatch):
    (tmp_path / "runs").mkdir()
    cache_dir = tmp_path / "runs" / "cache"
    monkeypatch.setattr(
        type(build_on_meta(next(iter(expand(study).runs.values())).config.tokenizer)), "__module__", "x"
    )
    facts(expand(study), Remembered(cache_dir))
    assert not (cache_dir / "remembered").exists()
