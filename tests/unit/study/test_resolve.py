import copy

import pytest

from vtbench.errors import StudyError
from vtbench.models.tokenizers import TOKENIZERS
from vtbench.study.resolve import component_config, resolve_evaluate, resolve_run, schema_problems


def place(path):
    return "here"


@pytest.fixture
def config(study):
    return copy.deepcopy(study.base)


def test_every_default_of_a_component_is_filled_in(config):
    resolved = resolve_run(config, place)
    given = set(config["tokenizer"])
    assert set(resolved.tokenizer.options) > given - {"name"}
    assert resolved.tokenizer.options["pos_embed"] == "grid"
    assert resolved.tokenizer.options["encoder"]["mlp_ratio"] == 4
    assert resolved.data.options["official"] is False


def test_resolving_twice_changes_nothing(config):
    once = resolve_run(config, place)
    again = resolve_run(once.model_dump(mode="json"), place)
    assert again == once
    assert component_config(TOKENIZERS, once.tokenizer).model_dump(mode="json") == once.tokenizer.options


@pytest.mark.parametrize(
    ("section", "key", "value", "part"),
    [
        ("tokenizer", "pos_embd", "rope", "Did you mean 'tokenizer.pos_embed'?"),
        ("tokenizer", "codebook_size", "many", "a whole number is needed, not 'many'"),
        ("tokenizer", "latent_width", 15, "no multiple of num_codebooks"),
        ("data", "rot", "x", "Did you mean 'data.root'?"),
        ("train", "steps", 0, "train.steps: a number above 0"),
        ("mixing", "inputs", {"16": 1.0}, "HEIGHTxWIDTH"),
        ("losses", "perceptual", [{"name": "effnet_lite"}], "Did you mean 'effnet_lite0'?"),
    ],
)
def test_wrong_values(config, section, key, value, part):
    config.setdefault(section, {})[key] = value
    lines = schema_problems(config, place)
    if not lines:
        with pytest.raises(StudyError) as caught:
            resolve_run(config, place)
        lines = [str(caught.value)]
    assert part in "\n".join(lines)


def test_missing_sections_and_unknown_ones(config):
    del config["data"]
    config["trian"] = {}
    found = "\n".join(schema_problems(config, place))
    assert "'data' is missing" in found
    assert "unknown key 'trian'. Did you mean 'train'?" in found


def test_evaluate(config):
    assert resolve_evaluate(config, place).num_tokens == (None,)
    with pytest.raises(StudyError, match=r"'evaluate.resolutions' is missing"):
        resolve_evaluate({"evaluate": {"num_samples": 4}}, place)
