"""Class folders of images."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from vtbench.data.imagefolder import ImageFolder
from vtbench.errors import DataError


def save(path: Path, colour: tuple[int, int, int] = (200, 10, 10), size: tuple[int, int] = (20, 16)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new("RGB", size, colour).save(path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "photos"
    save(root / "train" / "cat" / "a.JPEG")
    save(root / "train" / "cat" / "b.png")
    save(root / "train" / "dog" / "c.webp", (10, 10, 200))
    save(root / "train" / "emu" / "d.jpg")
    save(root / "val" / "dog" / "e.jpg", (10, 10, 200))
    (root / "train" / "cat" / "notes.txt").write_text("no image")
    (root / "train" / ".hidden").mkdir()
    return root


def opened(root: Path, split: str = "train", **options: object) -> ImageFolder:
    config = ImageFolder.Config.model_validate({"root": str(root), **options})
    return ImageFolder(config, split, root.parent / "cache")  # type: ignore[arg-type]


def test_images_and_labels(root: Path) -> None:
    train = opened(root)
    assert train.label_names == ("cat", "dog", "emu")
    assert sorted(train.labels) == [0, 0, 1, 2]
    images = train.images(range(4), (8, 8)).float().mean((2, 3))
    is_dog = train.labels == 1
    assert (images[is_dog, 2] > 150).all()
    assert (images[~is_dog, 0] > 150).all()


def test_validation_has_the_training_classes(root: Path) -> None:
    val = opened(root, "val")
    assert val.label_names == ("cat", "dog", "emu")
    assert val.labels.tolist() == [1]


def test_a_class_that_training_lacks_is_named(root: Path) -> None:
    save(root / "val" / "catt" / "f.jpg")
    with pytest.raises(DataError, match=r"catt is a class that .* does not have\. Did you mean 'cat'"):
        opened(root, "val")


def test_moving_the_folder_changes_nothing(root: Path) -> None:
    before = opened(root)
    root.rename(root.with_name("moved"))
    after = opened(root.with_name("moved"))
    assert after.content_key == before.content_key
    np.testing.assert_array_equal(after.labels, before.labels)
    assert ImageFolder.Config.model_fields["root"].json_schema_extra == {"identity": False}


def test_the_content_key_follows_files_release_and_split(root: Path) -> None:
    keys = {opened(root).content_key, opened(root, release="2").content_key, opened(root, "val").content_key}
    save(root / "train" / "emu" / "new.jpg")
    keys.add(opened(root).content_key)
    assert len(keys) == 4


def test_only_changed_folders_are_listed_again(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    opened(root)
    listed = []
    scandir = os.scandir
    monkeypatch.setattr(os, "scandir", lambda path: (listed.append(Path(path).name), scandir(path))[1])
    opened(root)
    assert listed == ["train", "train"]
    save(root / "train" / "emu" / "new.jpg")
    os.utime(root / "train" / "emu", ns=(1, 1))
    listed.clear()
    assert len(opened(root)) == 5
    assert listed == ["train", "emu", "train"]


def test_a_missing_folder_gives_the_nearest_name_and_the_layout(root: Path) -> None:
    with pytest.raises(DataError, match=r"no folder .*photo\. Did you mean 'photos'\? Set data\.root .*CLASS/IMAGE"):
        opened(root.with_name("photo"))
    (root / "val").rename(root / "vall")
    with pytest.raises(DataError, match=r"Did you mean 'vall'"):
        opened(root, "val")
    with pytest.raises(DataError, match="no folder"):
        opened(root / "no" / "where")


def test_no_image_at_all(tmp_path: Path) -> None:
    (tmp_path / "photos" / "train" / "cat").mkdir(parents=True)
    with pytest.raises(DataError, match=r"train holds no image"):
        opened(tmp_path / "photos")


def test_a_broken_or_vanished_image_is_named(root: Path) -> None:
    val = opened(root, "val")
    (root / "val" / "dog" / "e.jpg").write_bytes(b"no image")
    with pytest.raises(DataError, match=r"dog/e\.jpg is not an image"):
        val.images([0], (8, 8))
    (root / "val" / "dog" / "e.jpg").unlink()
    with pytest.raises(DataError, match=r"Cannot read .*e\.jpg: No such file"):
        val.images([0], (8, 8))
