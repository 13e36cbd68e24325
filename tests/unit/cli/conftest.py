"""The small study on real pictures, in a folder of its own, and a way to call the program there."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from vtbench.cli.app import app

TEXT = (Path(__file__).parents[2] / "fakes" / "small_study.yaml").read_text()


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """A checkout's worth: pictures, `studies/small.yaml`; the current folder."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("VTBENCH_ROOT", raising=False)
    draw = np.random.default_rng(0)
    for split in ("train", "val"):
        images = tmp_path / "images" / split / "a"
        images.mkdir(parents=True)
        for number in range(4):
            Image.fromarray(draw.integers(0, 256, (24, 24, 3), dtype=np.uint8)).save(images / f"{number}.png")
    (tmp_path / "studies").mkdir()
    (tmp_path / "studies" / "small.yaml").write_text(TEXT.replace("root: IMAGES", "root: images"))
    return tmp_path


@pytest.fixture
def edit(folder):
    """Replace a piece of the study's text."""

    def edit(old, new):
        path = folder / "studies" / "small.yaml"
        assert old in path.read_text()
        path.write_text(path.read_text().replace(old, new, 1))

    return edit


@pytest.fixture
def call(folder):
    """Call the program with arguments and return the result."""

    def call(*arguments):
        result = CliRunner().invoke(app, [str(argument) for argument in arguments])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
        return result

    return call
