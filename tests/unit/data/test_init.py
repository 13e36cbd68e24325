"""The table of data sets, and opening one from a study's component."""

import subprocess
import sys
from pathlib import Path

import pytest

from vtbench.data import DATASETS, open_dataset
from vtbench.errors import DataError, RegistryError
from vtbench.schema.run import Component


def test_every_row_loads() -> None:
    for name in DATASETS:
        assert DATASETS.load(name).Config


def test_listing_needs_no_torch() -> None:
    code = "import sys, vtbench.data; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_options_are_applied(tmp_path: Path) -> None:
    component = Component.model_validate({"name": "icons", "variants": False})
    assert len(open_dataset(component, "val", tmp_path)) < len(open_dataset(Component(name="icons"), "val", tmp_path))


def test_an_unknown_data_set_is_named(tmp_path: Path) -> None:
    with pytest.raises(RegistryError, match="Did you mean 'icons'"):
        open_dataset(Component(name="icon"), "val", tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"variant": True}, r"data\.variant: 'icons' has no such option\. Did you mean 'variants'\?"),
        ({"variants": "yes"}, r"data\.variants: .*boolean"),
        ({"val_fraction": 0.9}, r"data\.val_fraction: .*0\.5"),
    ],
)
def test_a_wrong_option_is_named(tmp_path: Path, options: dict[str, object], message: str) -> None:
    with pytest.raises(DataError, match=message):
        open_dataset(Component.model_validate({"name": "icons", **options}), "val", tmp_path)
