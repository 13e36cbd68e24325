import pytest

from vtbench.schema.base import Frozen
from vtbench.schema.run import irrelevant
from vtbench.study.expand import expand
from vtbench.study.identity import relevant, run_id

# A change here means that stored results are no longer found: only when a default changed on purpose.
GOLDEN = {("grid", 0): "041dadf0c855", ("rope", 0): "013e357def3e", ("grid", 1): "0ecaf2216416"}


@pytest.fixture
def base_id(study):
    return expand(study).cells[0].run_id


def first_id(study, **overrides):
    return expand(study, set={path.replace("__", "."): value for path, value in overrides.items()}).cells[0].run_id


def test_golden_ids(study):
    found = {(cell.arm, cell.seed): cell.run_id for cell in expand(study, seeds=2).cells}
    assert {key: found[key] for key in GOLDEN} == GOLDEN


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("train.num_workers", 3),
        ("train.log_every", 7),
        ("train.checkpoint_every", 9),
        ("data.root", "/elsewhere"),
        ("evaluate.num_samples", 5),
        ("tokenizer.pos_embed", "grid"),  # the default, written out
        ("train.precision", "fp32"),
        ("train.parallel", "fsdp"),
        ("train.grad_accumulation", 1),
        ("mixing.per", "batch"),
        ("tokenizer.length_scheme", "native"),
    ],
)
def test_what_cannot_change_a_result_is_left_out(study, base_id, path, value):
    assert expand(study, set={path: value}).cells[0].run_id == base_id


@pytest.mark.parametrize(
    ("path", "value"),
    [
        ("train.steps", 4),
        ("train.batch_size", 3),
        ("train.grad_accumulation", 2),
        ("train.ema", None),
        ("train.ema.decay", 0.9),
        ("train.optimizer.learning_rate", 1e-3),
        ("train.schedule.warmup_steps", 1),
        ("train.num_tokens", {"min": 1, "max": 4}),
        ("mixing.per", "sample"),
        ("tokenizer.length_scheme", "nested"),
        ("train.precision", "bf16"),
        ("train.compile", True),
        ("mixing.horizontal_flip", False),
        ("mixing.inputs", {"24x24": 1.0}),
        ("mixing.targets", {"16x16": 1.0}),
        ("losses.mse", 0.5),
        ("losses.perceptual", [{"name": "effnet_lite0"}]),
        ("losses.gan", {"start_step": 1}),
        ("data.release", "b"),
        ("data.official", True),
        ("tokenizer.codebook_size", 32),
        ("tokenizer.encoder.mlp_ratio", 2),
        ("tokenizer.init_std", 0.5),
    ],
)
def test_everything_else_counts(study, base_id, path, value):
    assert expand(study, set={path: value}).cells[0].run_id != base_id


def test_the_studys_name_does_not_count(study, base_id):
    renamed = study.model_copy(update={"name": "other", "question": "another?"})
    assert expand(renamed).cells[0].run_id == base_id


def test_seed_and_needs_count(study):
    config = next(iter(expand(study).runs.values())).config
    assert len({run_id(config, 0), run_id(config, 1), run_id(config, 0, ("a",)), run_id(config, 0, ("b",))}) == 4


def test_irrelevant_fields_are_left_out_at_any_depth():
    class Inner(Frozen):
        kept: int = 1
        dropped: int = irrelevant(2)

    class Outer(Frozen):
        one: Inner = Inner()
        many: tuple[Inner, ...] = (Inner(), Inner(kept=5))
        named: dict[str, Inner]

    assert relevant(Outer(named={"a": Inner()})) == {
        "one": {"kept": 1},
        "many": [{"kept": 1}, {"kept": 5}],
        "named": {"a": {"kept": 1}},
    }


def test_lengths_drawn_otherwise_are_another_run_and_the_defaults_none(study):
    def drawn(**how):
        return first_id(study, train__num_tokens={"min": 1, "max": 4, **how})

    assert drawn() == drawn(draw="uniform", per="batch")
    assert len({drawn(), drawn(draw="pow2"), drawn(draw="unifpow2"), drawn(per="sample")}) == 4
