import pytest

from vtbench.errors import StudyError
from vtbench.study.layers import Layer, file_place, locator, merge
from vtbench.study.yaml_file import parse_yaml

FILE = parse_yaml(
    """
base:
  data: {name: icons, style: flat}
  train:
    steps: 1
    optimizer: {name: adamw, learning_rate: 1.0}
profile:
  train: {steps: 2}
arm:
  train.optimizer.learning_rate: 3.0
  losses.gan.start_step: 4
""",
    "f.yaml",
)


def layers(*names):
    return [Layer(FILE.data[name], (name,)) for name in names]


def test_later_layers_win_and_paths_change_one_value():
    merged = merge(FILE, layers("base", "profile", "arm"))
    assert merged.config["train"] == {"steps": 2, "optimizer": {"name": "adamw", "learning_rate": 3.0}}
    assert merged.config["losses"] == {"gan": {"start_step": 4}}
    assert FILE.data["base"]["train"]["optimizer"]["learning_rate"] == 1.0  # the file's data are not written to


def test_a_section_replaces_each_of_its_fields_whole():
    merged = merge(FILE, [*layers("base"), Layer({"train": {"optimizer": {"name": "muon"}}}, None)])
    assert merged.config["train"] == {"steps": 1, "optimizer": {"name": "muon"}}


def test_places_are_those_of_the_layer_that_won():
    merged = merge(FILE, [*layers("base", "profile", "arm"), Layer({"train.batch_size": 8}, None)])
    assert merged.locate(("train", "steps")) == "f.yaml:8"
    assert merged.locate(("train", "optimizer", "name")) == "f.yaml:6"
    assert merged.locate(("train", "optimizer", "learning_rate")) == "f.yaml:10"
    assert merged.locate(("train", "batch_size")) == "--set train.batch_size"
    assert merged.locate(("losses", "gan", "weight")) == "f.yaml:11"
    assert merged.locate(("mixing",)) == "f.yaml:2"


def test_another_component_starts_without_options():
    same = merge(FILE, [*layers("base"), Layer({"data": {"name": "icons"}}, None)])
    assert same.config["data"] == {"name": "icons", "style": "flat"}
    other = merge(FILE, [*layers("base"), Layer({"data": {"root": "x", "name": "imagefolder"}}, None)])
    assert other.config["data"] == {"name": "imagefolder", "root": "x"}
    assert other.locate(("data", "root")) == "--set data.root"
    assert other.locate(("data",)) == "--set data"


def test_another_generator_starts_without_options_wherever_it_is_named():
    base = Layer({"generator": {"model": {"name": "llamagen", "size": "b"}, "train": {"steps": 1}}}, ("base",))
    kept = merge(FILE, [base, Layer({"generator.model.size": "l"}, ("arm",))]).config
    assert kept["generator"] == {"model": {"name": "llamagen", "size": "l"}, "train": {"steps": 1}}
    other = {"generator.model.num_head_layers": 2, "generator.model.name": "vibetoken_gen"}
    merged = merge(FILE, [base, Layer(other, ("arm",))]).config
    assert merged["generator"] == {"model": {"name": "vibetoken_gen", "num_head_layers": 2}, "train": {"steps": 1}}
    same = merge(FILE, [base, Layer({"generator.model.name": "llamagen"}, ("arm",))]).config
    assert same["generator"]["model"]["size"] == "b"


def test_a_value_set_twice_in_one_layer():
    with pytest.raises(StudyError, match=r"'train.steps' is set twice here"):
        merge(FILE, [Layer({"train.steps": 1, "train": {"steps": 2}}, None)])


def test_a_path_into_a_plain_value():
    with pytest.raises(StudyError, match=r"'train.steps' is 1, which has no keys"):
        merge(FILE, [*layers("base"), Layer({"train.steps.more": 1}, None)])


def test_places():
    assert file_place(FILE, ("arm",), ()) == "f.yaml:9"
    assert file_place(FILE, None, ("a", "b")) == "--set a.b"
    assert locator(FILE, ("base",))(("train", "steps")) == "f.yaml:5"
