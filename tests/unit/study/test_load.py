import subprocess
import sys

import pytest

from vtbench.errors import StudyError
from vtbench.study.load import find_study, load_study, study_kind


def test_a_good_file(study):
    assert study.name == "small"
    assert [arm.name for arm in study.arms] == ["grid", "rope"]
    assert study.arms[1].set == {"tokenizer.pos_embed": "rope"}
    assert study.profiles[1].resources.peak_flops == 1e12
    assert study.seeds == (0,)


@pytest.mark.parametrize(
    ("old", "new", "place", "part"),
    [
        ("question:", "qestion:", "qestion", "unknown key 'qestion'. Did you mean 'question'?"),
        ("question: Which positions?\n", "", "smallest", "'question' is missing"),
        ("  train:", "  trian:", "  trian:", "unknown key 'base.trian'. Did you mean 'train'?"),
        ("steps: 3", "step: 3", "step: 3", "unknown key 'train.step'. Did you mean 'train.steps'?"),
        ("name: imagefolder", "name: imagefoldr", "imagefoldr", "Did you mean 'imagefolder'?"),
        ("name: vibetoken", "name: vibetokn", "vibetokn", "Did you mean 'vibetoken'?"),
        ("tokenizer.pos_embed: rope", "tokeniser.pos_embed: x", "tokeniser", "unknown key 'tokeniser.pos_embed'"),
        ("tokenizer.pos_embed: rope", "trian.steps: 1", "trian", "Did you mean 'train.steps'?"),
        ("tokenizer.pos_embed: rope", "evaluate.num_samples: 1", "rope: {", "all arms are measured alike"),
        ("train: {steps: 50, batch_size: 4}", "train: {stps: 50}", "stps", "Did you mean 'train.steps'?"),
        ("[psnr, mae]", "[psnr, maee]", "maee", "Did you mean 'mae'?"),
        ("[psnr, mae]", "[psnr, psnr]", "[psnr", "twice"),
        ("[psnr, mae]", "[]", "metrics", "at least one"),
        ("[psnr, mae]", "psnr", "metrics", "a list is needed, not 'psnr'"),
        ("seeds: [0]", "seeds: [0, 0]", "seeds", "twice"),
        ("seeds: [0]", "seeds: [a]", "seeds", "seeds[0]: a whole number is needed, not 'a'"),
        ("seeds: [0]", "seeds: [0]\naxes: {train.steps: [1, 1]}", "axes", "different values"),
        ("seeds: [0]", "seeds: [0]\naxes: {train.stps: [1, 2]}", "axes", "Did you mean 'train.steps'?"),
        ("seeds: [0]", "seeds: [0]\nseeds: [1]", "seeds: [1]", "repeated"),
        ("reference_arm: grid", "reference_arm: gird", "gird", "Did you mean 'grid'?"),
        ("title: RoPE, ", "", "rope: {", "'arms.rope.title' is missing"),
        ("title: RoPE, ", "titel: RoPE, ", "rope: {", "unknown key 'arms.rope.titel'. Did you mean 'title'?"),
        ("{title: Grid, set: {}}", "7", "grid: 7", "arms.grid: a mapping"),
        ("  grid: {", "  Grid!: {", "Grid!", "cannot be a name"),
        ("name: small", "name: ../small", "../small", "cannot be a name"),
        ("num_gpus: 1", "num_gpu: 1", "num_gpu", "unknown key 'profiles.gpu.resources.num_gpu'"),
        ("note: a few steps, ", "", "tiny:", "'profiles.tiny.note' is missing"),
    ],
)
def test_mistakes_name_their_line_and_the_nearest_choice(complaint, write, line_of, old, new, place, part):
    message = complaint(old, new)
    path = write(old, new)
    assert f"{path}:{line_of(path, place)}: " in message
    assert part in message


def test_all_mistakes_are_said_at_once(complaint):
    message = complaint("metrics: [psnr, mae]", "metrics: [psnr, mea, ssmi]")
    assert len(message.splitlines()) == 2


def test_a_wrong_file_is_reported_without_torch(write):
    path = write("steps: 3", "stps: 3")
    code = (
        "import sys; from pathlib import Path; from vtbench.study.load import load_study\n"
        "try: load_study(Path(sys.argv[1]))\n"
        "except Exception as error: print(error)\n"
        "print('torch' in sys.modules)"
    )
    ran = subprocess.run([sys.executable, "-c", code, str(path)], capture_output=True, text=True, check=True)
    assert "Did you mean 'train.steps'?" in ran.stdout
    assert ran.stdout.endswith("False\n")


def test_the_path_that_is_kept_does_not_name_the_machine(write, monkeypatch):
    path = write()
    monkeypatch.chdir(path.parent)
    assert load_study(path).path == "small.yaml"


def test_find_study(write, monkeypatch):
    path = write()
    assert find_study(str(path)) == path
    assert find_study("small", path.parent) == path
    with pytest.raises(StudyError, match="Did you mean 'small'"):
        find_study("smal", path.parent)


def test_a_study_trains_unless_it_says_otherwise(write):
    assert study_kind(write()) == "training"
    assert study_kind(write("name: small", "search: {}\nname: small")) == "search"
    path = write("name: small", "kind: cost\nname: small")
    assert study_kind(path) == "cost"
    with pytest.raises(StudyError, match=r"small\.yaml:\d+: this study counts costs"):
        load_study(path)
    with pytest.raises(StudyError, match=r"'cots' is no kind of study\. Did you mean 'cost'\?"):
        study_kind(write("name: small", "kind: cots\nname: small"))
