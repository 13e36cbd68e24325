"""Shards with random access."""

import io
import os
import tarfile
from pathlib import Path

import pytest
from PIL import Image

from vtbench.data import webdataset
from vtbench.data.webdataset import WebDataset, expand_braces
from vtbench.errors import DataError, StoreError


def picture(level: int) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (12, 10), (level, level, level)).save(buffer, "png")
    return buffer.getvalue()


def write_shard(path: Path, members: dict[str, bytes], mode: str = "w") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, mode) as shard:  # type: ignore[call-overload]
        for name, data in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(data)
            shard.addfile(member, io.BytesIO(data))


def pairs(*levels: int) -> dict[str, bytes]:
    members = {}
    for level in levels:
        members |= {f"a/{level:04}.png": picture(level), f"a/{level:04}.cls": str(level // 10).encode()}
        members[f"a/{level:04}.json"] = b"{}"
    return members


@pytest.fixture
def root(tmp_path: Path) -> Path:
    root = tmp_path / "shards"
    write_shard(root / "train-000.tar", pairs(10, 20, 30))
    write_shard(root / "train-001.tar", pairs(40, 50))
    write_shard(root / "val-0.tar", pairs(60))
    return root


def opened(root: Path, split: str = "train", **options: object) -> WebDataset:
    given = {"root": str(root), "train_shards": "train-{000..001}.tar", "val_shards": "val-0.tar", **options}
    return WebDataset(WebDataset.Config.model_validate(given), split, root.parent / "cache")  # type: ignore[arg-type]


def test_every_image_is_read_with_its_label(root: Path) -> None:
    train = opened(root)
    levels = train.images(range(5), (4, 6))[:, 0, 0, 0].tolist()
    assert sorted(levels) == [10, 20, 30, 40, 50]
    assert train.labels.tolist() == [level // 10 for level in levels]
    assert len(train.label_names) == 1000
    assert len(opened(root, "val")) == 1


def test_the_index_is_made_once_and_again_when_a_shard_changes(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    key = opened(root).content_key
    indexed = []
    index_pairs = webdataset._pairs
    monkeypatch.setattr(webdataset, "_pairs", lambda path: (indexed.append(path.name), index_pairs(path))[1])
    assert opened(root).content_key == key
    assert indexed == []
    write_shard(root / "train-001.tar", pairs(40, 50, 70))
    assert len(opened(root)) == 6
    assert indexed == ["train-001.tar"]


def test_a_copy_elsewhere_is_the_same_data(root: Path) -> None:
    key = opened(root).content_key
    root.rename(root.with_name("moved"))
    os.utime(root.with_name("moved") / "train-000.tar", ns=(5, 5))
    assert opened(root.with_name("moved")).content_key == key
    assert opened(root.with_name("moved"), release="2").content_key != key


@pytest.mark.parametrize(
    ("pattern", "names"),
    [
        ("a.tar", ["a.tar"]),
        ("t-{08..10}.tar", ["t-08.tar", "t-09.tar", "t-10.tar"]),
        ("{a,b}-{0..1}", ["a-0", "a-1", "b-0", "b-1"]),
    ],
)
def test_braces(pattern: str, names: list[str]) -> None:
    assert expand_braces(pattern, "data.train_shards") == names


@pytest.mark.parametrize("pattern", ["{3..1}", "{}", "{a}", "t-{0..1", "t-0}", "{0..b}"])
def test_malformed_braces_are_named(pattern: str) -> None:
    with pytest.raises(DataError, match=r"data\.train_shards: "):
        expand_braces(pattern, "data.train_shards")


def test_missing_shards_are_counted(root: Path) -> None:
    with pytest.raises(DataError, match=r"2 of 4 shards are missing, first .*train-002\.tar\. Did you mean 'train-00"):
        opened(root, train_shards="train-{000..003}.tar")
    with pytest.raises(DataError, match=r"no folder .*Did you mean 'shards'\? Set data\.root"):
        opened(root.with_name("shard"))


@pytest.mark.parametrize(
    ("members", "message"),
    [
        ({"x.png": picture(1)}, "'x' has only one of"),
        ({"x.cls": b"1"}, "'x' has only one of"),
        ({"x.png": picture(1), "x.jpg": picture(1), "x.cls": b"1"}, r"holds 'x\.jpg' twice"),
        ({"x.png": picture(1), "x.cls": b"cat"}, r"x\.cls does not hold a class number"),
        ({"x.png": picture(1), "x.cls": b"1000"}, r":x has the class 1000, but data\.num_classes is 1000"),
        ({}, "hold no image"),
    ],
)
def test_wrong_members_are_named(root: Path, members: dict[str, bytes], message: str) -> None:
    write_shard(root / "train-000.tar", members)
    with pytest.raises(DataError, match=message):
        opened(root, train_shards="train-000.tar")


def test_a_compressed_shard_is_refused(root: Path) -> None:
    write_shard(root / "train-000.tar", pairs(1), "w:gz")
    with pytest.raises(DataError, match="not an uncompressed tar file"):
        opened(root)


def test_a_cut_off_shard_is_refused(root: Path) -> None:
    whole = (root / "train-000.tar").read_bytes()
    (root / "train-000.tar").write_bytes(whole[:700])
    with pytest.raises(DataError, match="is cut off"):
        opened(root)


def test_a_broken_member_is_named(root: Path) -> None:
    write_shard(root / "val-0.tar", {"x.jpg": b"no image", "x.cls": b"1"})
    with pytest.raises(DataError, match=r"val-0\.tar:x is not an image"):
        opened(root, "val").images([0], (4, 4))


def test_a_broken_index_says_what_to_do(root: Path) -> None:
    opened(root, "val")
    for index in (root.parent / "cache" / "webdataset").iterdir():
        index.write_text("{")
    with pytest.raises(StoreError, match="Delete the file"):
        opened(root, "val")
