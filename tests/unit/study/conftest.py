"""A small study, written to a file."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vtbench.errors import StudyError
from vtbench.study.load import load_study

TEXT = (Path(__file__).parents[2] / "fakes" / "small_study.yaml").read_text()


@pytest.fixture
def write(tmp_path):
    """Write the study, with one piece of its text replaced, and return the path."""

    def write(old: str = "", new: str = "") -> Path:
        assert old in TEXT, old
        path = tmp_path / "small.yaml"
        path.write_text(TEXT.replace(old, new, 1) if old else TEXT)
        return path

    return write


@pytest.fixture
def study(write):
    return load_study(write())


@pytest.fixture
def complaint(write):
    """Load the study with one piece replaced and return the message."""

    def complaint(old: str, new: str) -> str:
        with pytest.raises(StudyError) as caught:
            load_study(write(old, new))
        return str(caught.value)

    return complaint


@pytest.fixture
def line_of():
    """Return the number of the first line that holds a text."""

    def line_of(path: Path, text: str) -> int:
        return next(n for n, line in enumerate(path.read_text().splitlines(), start=1) if text in line)

    return line_of


@pytest.fixture
def images(tmp_path):
    """Write a few pictures in ImageNet's layout and return their root."""
    root = tmp_path / "images"
    draw = np.random.default_rng(0)
    for split in ("train", "val"):
        for label in ("a", "b"):
            folder = root / split / label
            folder.mkdir(parents=True)
            for number in range(2):
                pixels = draw.integers(0, 256, (24, 24, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    return root


@pytest.fixture
def write_grid(write, images):
    """Write the study with a tokenizer whose tokens follow from the image's size, and return the path."""

    def write_grid(old: str = "", new: str = "") -> Path:
        path = write(old, new)
        before, _, after = (
            path.read_text().replace("root: IMAGES", f"root: {images}").partition("    name: vibetoken\n")
        )
        options = "{name: llamagen_vq, width: 8, width_factors: [1, 2], num_res_blocks: 1, num_groups: 4}"
        before = before.removesuffix("tokenizer:\n") + f"tokenizer: {options}\n"
        after = after[after.index("  data:") :].replace("tokenizer.pos_embed: rope", "tokenizer.codebook_size: 8")
        path.write_text(before + after)
        return path

    return write_grid
