"""What a user gets wrong costs one clear message, exit code 2, and leaves nothing behind."""

import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from vtbench.cli.app import app

TEXT = (Path(__file__).parents[1] / "fakes" / "icon_study.yaml").read_text()
FILE = "studies/fast.yaml"


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A folder with `studies/fast.yaml`, without a store and without any weights; the current one."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VTBENCH_ROOT", raising=False)
    for name in ("VTBENCH_WEIGHTS", "TORCH_HOME"):
        monkeypatch.setenv(name, str(tmp_path / "no weights"))
    (tmp_path / "studies").mkdir()
    (tmp_path / FILE).write_text(TEXT)
    return tmp_path


@pytest.fixture
def complaint(folder):
    """Run a study in which one piece of the text is replaced; return the message and the number of that line."""

    def complaint(old="", new="", *arguments):
        assert old in TEXT
        text = TEXT.replace(old, new, 1)
        (folder / FILE).write_text(text)
        result = CliRunner().invoke(app, ["run", *(arguments or [FILE])])
        assert isinstance(result.exception, SystemExit), result.exception
        assert result.exit_code == 2
        assert "Traceback" not in result.stderr
        assert sorted(path.name for path in folder.iterdir()) == ["studies"], "something was written"
        line = text[: text.index(new.splitlines()[-1].strip())].count("\n") + 1 if new else 0
        return result.stderr, line

    return complaint


@pytest.mark.parametrize(
    ("old", "new", "parts"),
    [
        ("batch_size: 8", "batchsize: 8", ["unknown key 'train.batchsize'", "Did you mean 'train.batch_size'?"]),
        ("source: the tests", "source: the tests\nsouce: x", ["unknown key 'souce'", "Did you mean 'source'?"]),
        ("steps: 24", "steps: 24\n    steps: 25", ["key 'steps' is repeated; line 24 has it too"]),
        ("steps: 24", "steps: many", ["train.steps: a whole number is needed, not 'many'"]),
        ("num_latent_tokens: 8", "num_latent_tokens: 8.5", ["tokenizer.num_latent_tokens: a whole number", "not 8.5"]),
        ("name: vibetoken", "name: vibetokn", ["tokenizer.name", "Did you mean 'vibetoken'?"]),
        ("tokenizer.pos_embed: rope", "tokenizer.pos_embd: rope", ["Did you mean 'tokenizer.pos_embed'?"]),
        ("tokenizer.pos_embed: rope", "train.optimiser.name: adamw", ["Did you mean 'train.optimizer.name'?"]),
        ("pos_embed: rope", "pos_embed: ropes", ["tokenizer.pos_embed", "'ropes'", "Did you mean 'rope'?"]),
        ("[psnr, mae]", "[psnrr, mae]", ["No metric is called 'psnrr'", "Did you mean 'psnr'?"]),
        ("[psnr, mae]", "[psnr, rfid]", ["Inception-v3", "weights-inception", "VTBENCH_WEIGHTS"]),
        ("{name: icons, variants: false}", "{name: imagefolder, root: nowhere}", ["data: There is no folder nowhere"]),
        ("{name: icons, variants: false}", "{name: icons, variant: false}", ["Did you mean 'data.variants'?"]),
        ("resolutions: [32x32]", "resolutions: [30x30]", ["evaluate.resolutions[0]: ", "30x30"]),
        ("reference_arm: grid", "reference_arm: gird", ["no arm is called 'gird'", "Did you mean 'grid'?"]),
        ("source: the tests", "source: [the tests", ["studies/fast.yaml:"]),
    ],
)
def test_each_mistake_is_named_with_its_place(complaint, old, new, parts):
    message, line = complaint(old, new)
    assert message.count("\n") == 1
    if "[the tests" not in new:  # YAML notices an open bracket only further down
        assert message.startswith(f"{FILE}:{line}: ")
    for part in parts:
        assert part in message


def test_several_mistakes_are_named_at_once(complaint):
    message, _ = complaint("steps: 24\n    batch_size: 8", "steps: many\n    batch_size: 0")
    assert len(message.splitlines()) == 2
    assert "train.steps" in message
    assert "train.batch_size: a number above 0 is needed, not 0" in message


@pytest.mark.parametrize(
    ("arguments", "part"),
    [
        ([FILE, "--profile", "tiyn"], f"{FILE}: the study has no profile 'tiyn'. Did you mean 'tiny'?"),
        (["fsat"], "No study is called 'fsat', and there is no such file. Did you mean 'fast'?"),
        ([FILE, "--set", "train.step=3"], "--set train.step: unknown key 'train.step'. Did you mean 'train.steps'?"),
        ([FILE, "--set", "train.steps=no"], "--set train.steps: train.steps: a whole number is needed, not 'no'."),
        ([FILE, "--set", "evaluate.resolutions=[8x8, 30x31]"], "--set evaluate.resolutions"),
        ([FILE, "--seeds", "0"], "--seeds"),
        ([FILE, "--profle", "tiny"], "--profile"),
    ],
)
def test_what_is_wrong_on_the_command_line(complaint, arguments, part):
    message, _ = complaint("", "", *arguments)
    assert part in message


def test_as_a_process_it_is_one_line_and_no_traceback(folder):
    (folder / FILE).write_text(TEXT.replace("steps: 24", "stps: 24"))
    found = subprocess.run([sys.executable, "-m", "vtbench", "run", FILE], capture_output=True, text=True, check=False)
    assert found.returncode == 2
    assert found.stdout == ""
    assert found.stderr == f"{FILE}:24: unknown key 'train.stps'. Did you mean 'train.steps'?\n"
    assert "Traceback" not in found.stderr
    assert sorted(path.name for path in folder.iterdir()) == ["studies"]
