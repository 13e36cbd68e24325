"""The small study on real pictures, expanded, with its plan in a store: what launchers and runners are given."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vtbench.store.layout import Store
from vtbench.store.query import save_plan
from vtbench.study.expand import expand
from vtbench.study.load import load_study

TEXT = (Path(__file__).parents[1] / "fakes" / "small_study.yaml").read_text()


@pytest.fixture
def store(tmp_path):
    return Store(tmp_path / "store")


@pytest.fixture
def make_plan(tmp_path, store):
    """Write pictures and the study, and return its plan as it is in the store; `a__b=1` sets `a.b`."""
    draw = np.random.default_rng(0)
    for split in ("train", "val"):
        folder = tmp_path / "images" / split / "a"
        folder.mkdir(parents=True)
        for number in range(4):
            Image.fromarray(draw.integers(0, 256, (24, 24, 3), dtype=np.uint8)).save(folder / f"{number}.png")
    path = tmp_path / "small.yaml"
    path.write_text(TEXT.replace("IMAGES,", "").replace("root: IMAGES", f"root: {tmp_path / 'images'}"))

    def make_plan(**overrides):
        plan = expand(load_study(path), set={key.replace("__", "."): value for key, value in overrides.items()})
        save_plan(store, plan)
        return plan

    return make_plan
