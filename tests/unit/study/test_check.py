import pytest
import torch

from vtbench.errors import ResolutionError, StudyError
from vtbench.study import check
from vtbench.study.check import check_plan, problems
from vtbench.study.expand import expand
from vtbench.study.load import load_study


@pytest.fixture
def found(write, images, tmp_path):
    """Return the problems of the study with one piece replaced, `IMAGES` being real."""

    def found(old="", new="", profile="tiny", overrides=None):
        path = write(old, new)
        path.write_text(path.read_text().replace("root: IMAGES", f"root: {images}"))
        plan = expand(load_study(path), profile, set=overrides)
        return problems(plan, tmp_path / "cache", overrides)

    return found


def test_a_good_plan_has_none(found):
    assert found() == []


def test_what_was_in_order_is_not_built_again(write, images, tmp_path, monkeypatch):
    path = write()
    path.write_text(path.read_text().replace("root: IMAGES", f"root: {images}"))
    (tmp_path / "runs").mkdir()
    cache_dir, plan = tmp_path / "runs" / "cache", expand(load_study(path))
    assert problems(plan, cache_dir) == []

    def build(component):
        raise ResolutionError(f"{component.name} built again")

    monkeypatch.setattr(check, "build_on_meta", build)
    assert problems(plan, cache_dir) == []
    other = expand(load_study(path), set={"evaluate.resolutions": ["64x64"]})
    assert "built again" in problems(other, cache_dir)[0]


def test_missing_data(write, tmp_path, line_of):
    path = write("root: IMAGES", "root: /nowhere")
    plan = expand(load_study(path))
    with pytest.raises(StudyError) as caught:
        check_plan(plan, tmp_path / "cache")
    (line,) = str(caught.value).splitlines()
    assert line.startswith(f"{path}:{line_of(path, 'root:')}: data: ")
    assert "/nowhere" in line


@pytest.mark.parametrize(
    ("old", "new", "mark", "part"),
    [
        ("{16x16: 1.0}", "{16x16: 1.0, 17x16: 1.0}", "17x16", "mixing.inputs.17x16: no patch size of [8] tiles 17x16"),
        ("{16x16: 1.0}}", "{16x16: 1.0}, targets: {20x16: 1.0}}", "20x16", "mixing.targets.20x16: "),
        ("[16x16]", "[16x16, 20x20]", "20x20", "evaluate.resolutions[1]: "),
        (
            "batch_size: 2}\n  eval",
            "batch_size: 2, num_tokens: {min: 1, max: 9}}\n  eval",
            "max: 9",
            "train.num_tokens.max",
        ),
        ("num_samples: 4,", "num_samples: 4, num_tokens: [2, 9],", "[2, 9]", "evaluate.num_tokens[1]: "),
        (
            "batch_size: 2}\n  eval",
            "batch_size: 2, num_tokens: {min: 3, max: 2}}\n  eval",
            "min: 3",
            "min 3 is above max 2",
        ),
        (
            "batch_size: 2}\n  eval",
            "batch_size: 2, num_tokens: {min: 3, max: 3, draw: pow2}}\n  eval",
            "min: 3",
            "no power of two lies between min 3 and max 3",
        ),
        (
            "batch_size: 2}\n  eval",
            "batch_size: 2, num_tokens: {min: 2, max: 3, per: sample}}\n  eval",
            "min: 2",
            "train.num_tokens.per: this tokenizer gives all images of a batch one length",
        ),
        (
            "{16x16: 1.0}}\n  train: {steps: 3,",
            "{16x16: 1.0}, per: sample}\n  train: {steps: 3, parallel: fsdp,",
            "per: sample",
            "mixing.per: with sizes drawn per sample",
        ),
    ],
)
def test_sizes_and_lengths_that_the_model_does_not_have(found, write, line_of, old, new, mark, part):
    (line,) = found(old, new)
    path = write(old, new)
    assert line.startswith(f"{path}:{line_of(path, mark)}: ")
    assert part in line


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("{16x16: 1.0}", "{16x15: 1.0}", "squares of 2 pixels do not tile 16x15"),
        ("{16x16: 1.0}}", "{16x16: 1.0}, targets: {32x32: 1.0}}", "mixing.targets: this tokenizer decodes at the size"),
        (
            "resolutions: [16x16]",
            "resolutions: [16x16], routes: [{input: 16x16, decode: 32x32}]",
            "decode 32x32 is not input 16x16",
        ),
        ("num_samples: 4,", "num_samples: 4, num_tokens: [2],", "this model makes one for each 2x2 pixels, 64 for"),
        ("batch_size: 2}", "batch_size: 2, optimizer: {name: muon}}", "optimizer.name: muon updates the matrices"),
    ],
)
def test_a_tokenizer_of_grids_is_held_to_one_size(write_grid, tmp_path, old, new, part):
    assert problems(expand(load_study(write_grid())), tmp_path / "cache") == []
    (line,) = problems(expand(load_study(write_grid(old, new))), tmp_path / "cache")
    assert part in line


def test_values_from_the_command_line_are_named_as_such(found):
    (line,) = found(overrides={"evaluate.resolutions": ["20x20"]})
    assert line.startswith("--set evaluate.resolutions: evaluate.resolutions[0]: ")


def test_missing_weights(found, monkeypatch, tmp_path):
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    (line,) = found("[psnr, mae]", "[psnr, rfid]")
    assert ": metrics: " in line
    assert "weights-inception" in line


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a card")
def test_a_missing_card_and_missing_shards(found):
    data, device = found(profile="gpu")
    assert ": data: " in data
    assert device.endswith("profiles.gpu: needs 1 CUDA device; this machine has none. `--profile tiny` works here.")


def test_a_device_that_is_none(found):
    (line,) = found("cost: seconds}", "cost: seconds, resources: {device: gpuu}}")
    assert "'gpuu' is no device" in line


def test_a_generator_must_fit_the_data_and_what_is_measured(make_generator_plan, tmp_path):
    generation = {"resolutions": ["16x16", "17x16"], "num_tokens": [5], "num_samples": 2}
    plan = make_generator_plan(generator__model__num_classes=3, evaluate__generation=generation)
    found = problems(plan, tmp_path, plan.overrides)
    assert len(found) == 3
    assert (
        "generator.model.num_classes: the data has 1 classes and the generator knows 3; write num_classes: 1"
        in found[0]
    )
    assert "evaluate.generation.resolutions[1]: " in found[1]
    assert "evaluate.generation.num_tokens[0]: 5 tokens asked for; the generator makes 4" in found[2]
    assert problems(make_generator_plan(), tmp_path) == []
