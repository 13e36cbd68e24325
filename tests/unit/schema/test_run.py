import pytest
from pydantic import ValidationError

from vtbench.schema.run import (
    Component,
    GanConfig,
    GeneratorConfig,
    LossConfig,
    MixingConfig,
    NumTokensRange,
    OptimizerConfig,
    RunConfig,
    RunSpec,
    TokensConfig,
    TrainConfig,
)


def _config(**train):
    return RunConfig(
        tokenizer=Component(name="vibetoken", pos_embed="rope", patch_sizes=[8, 16]),
        data=Component(name="icons"),
        mixing=MixingConfig(inputs={"64x64": 1.0}),
        train=TrainConfig(**{"steps": 10, "batch_size": 4, **train}),
    )


def test_a_components_options_are_all_but_its_name():
    component = Component(name="vibetoken", pos_embed="rope")
    assert component.options == {"pos_embed": "rope"}
    assert Component(name="icons").options == {}
    component.options["pos_embed"] = "grid"
    assert component.options == {"pos_embed": "rope"}


def test_a_spec_survives_its_file():
    spec = RunSpec(run_id="abc", config=_config(), seed=3, needs=("def",))
    again = RunSpec.model_validate_json(spec.model_dump_json())
    assert again == spec
    assert again.config.tokenizer.options == {"pos_embed": "rope", "patch_sizes": [8, 16]}


def test_the_recipe_by_default_is_the_published_one():
    config = _config()
    optimizer = OptimizerConfig()
    assert (optimizer.name, optimizer.learning_rate, optimizer.betas) == ("adamw", 1e-4, (0.9, 0.999))
    assert optimizer.weight_decay == 1e-4
    assert config.train.ema is not None
    assert (config.train.ema.decay, config.train.grad_clip, config.train.schedule.final_factor) == (0.999, 1.0, 0.1)
    assert (config.losses.mse, config.losses.quantizer, config.losses.perceptual, config.losses.gan) == (1, 1, (), None)
    gan = GanConfig(start_step=1)
    assert (gan.weight, gan.discriminator_factor, gan.lecam_weight, gan.lecam_decay) == (0.1, 0.5, 0.001, 0.999)


def test_only_what_cannot_change_a_result_is_irrelevant():
    marked = {
        name
        for name, field in TrainConfig.model_fields.items()
        if (field.json_schema_extra or {}).get("identity") is False
    }
    assert marked == {"checkpoint_every", "log_every", "num_workers", "parallel"}


@pytest.mark.parametrize(
    "train",
    [
        {"steps": 0},
        {"steps": "10"},
        {"batch_size": -1},
        {"grad_accumulation": 3},
        {"parallel": "fsdp", "precision": "fp16"},
        {"precision": "fp8"},
        {"grad_clip": 0.0},
        {"num_tokens": {"min": 0, "max": 4}},
        {"learning_rate": 1e-3},
    ],
)
def test_wrong_values_are_refused(train):
    with pytest.raises(ValidationError):
        _config(**train)


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (MixingConfig, {"inputs": {"64": 1.0}}),
        (MixingConfig, {"inputs": {"64x64": 0.0}}),
        (OptimizerConfig, {"learning_rate": 0.0}),
        (OptimizerConfig, {"name": "sgd"}),
        (LossConfig, {"mse": -1.0}),
        (GanConfig, {}),
    ],
)
def test_wrong_sections_are_refused(kind, fields):
    with pytest.raises(ValidationError):
        kind(**fields)


def test_a_generators_run_needs_the_run_without_it():
    tokens = TokensConfig(resolutions=("64x64",))
    train = TrainConfig(steps=5, batch_size=2)
    generator = GeneratorConfig(model=Component(name="vibetoken_gen"), tokens=tokens, train=train)
    config = _config().model_copy(update={"generator": generator})
    assert (config.trained.steps, config.of_tokenizer().trained.steps) == (5, 10)
    assert config.of_tokenizer() == _config()
    drawn = train.model_copy(update={"num_tokens": NumTokensRange(min=1, max=2)})
    with pytest.raises(ValidationError, match=r"give their length in tokens\.num_tokens"):
        GeneratorConfig(model=generator.model, tokens=tokens, train=drawn)
