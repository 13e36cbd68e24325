import pytest
import torch

from vtbench.errors import ResolutionError
from vtbench.schema.run import Component
from vtbench.study.meta import build_on_meta, codes_shape, generator_on_meta
from vtbench.study.resolve import resolve_run


@pytest.fixture
def config(make_generator_plan):
    plan = make_generator_plan()
    return plan.runs[plan.cells[0].run_id].config


def test_models_take_no_memory_and_are_built_once(config):
    for build, component in ((build_on_meta, config.tokenizer), (generator_on_meta, config.generator.model)):
        model = build(component)
        assert {parameter.device for parameter in model.parameters()} == {torch.device("meta")}
        assert not model.training
        assert build(Component.model_validate(component.model_dump())) is model


def test_the_shape_of_codes_is_that_of_the_tokenizer(config):
    text = config.tokenizer.model_dump_json()
    assert codes_shape(text, (16, 16), None) == (4, 4)
    assert codes_shape(text, (32, 16), 3) == (4, 3)
    with pytest.raises(ResolutionError):
        codes_shape(text, (16, 16), 5)


def test_resolving_a_generator_again_changes_nothing(config):
    plain = config.model_dump(mode="json")
    assert resolve_run(plain, str) == config
