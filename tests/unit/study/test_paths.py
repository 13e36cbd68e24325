import pytest

from vtbench.schema.run import RunConfig
from vtbench.schema.study import EvaluateConfig
from vtbench.study.paths import SECTIONS, field_names, model_of, path_problem, schema_paths


@pytest.mark.parametrize(
    "path",
    [
        "train.steps",
        "train.optimizer.learning_rate",
        "losses.gan.start_step",
        "mixing.inputs.8x8",
        "tokenizer.anything",
    ],
)
def test_paths_that_exist(path):
    assert path_problem(path.split(".")) is None


@pytest.mark.parametrize(
    ("path", "part"),
    [
        ("trian.steps", "Did you mean 'train.steps'?"),
        ("train.stps", "Did you mean 'train.steps'?"),
        ("train.optimizer.lerning_rate", "Did you mean 'train.optimizer.learning_rate'?"),
        ("train", "is a section"),
        ("train.steps.more", "'train.steps' has no keys"),
        ("losses.perceptual.name", "'losses.perceptual' has no keys"),
    ],
)
def test_paths_that_do_not(path, part):
    assert part in (path_problem(path.split(".")) or "")


def test_every_section_of_a_run_and_the_evaluation_is_known():
    assert set(SECTIONS) == {*RunConfig.model_fields, "evaluate"}
    assert "train.ema.decay" in schema_paths()


def test_field_names_go_through_lists_and_alternatives():
    assert field_names(RunConfig, ("losses", "perceptual", 0)) == ["name", "weight"]
    assert "start_step" in field_names(RunConfig, ("losses", "gan"))
    assert field_names(RunConfig, ("train", "steps")) == []
    assert model_of(EvaluateConfig | None) is EvaluateConfig
