import json

import numpy as np
import pytest
import torch
from PIL import Image

from vtbench import distributed
from vtbench.data import open_dataset, token_cache
from vtbench.data.token_cache import TokenCache, TokensKey
from vtbench.errors import StoreError
from vtbench.schema.run import Component, TokensConfig

CODES = 300
"""More than fit into a byte."""


class Killed(Exception):
    """The process is gone."""


@pytest.fixture
def dataset(tmp_path):
    draw = np.random.default_rng(0)
    for split in ("train", "val"):
        for label in ("a", "b"):
            (tmp_path / split / label).mkdir(parents=True)
            for number in range(4):
                pixels = draw.integers(0, 256, (20, 28, 3), dtype=np.uint8)
                Image.fromarray(pixels).save(tmp_path / split / label / f"{number}.png")
    return open_dataset(Component(name="imagefolder", root=str(tmp_path)), "train", tmp_path)


@pytest.fixture
def small_chunks(monkeypatch):
    monkeypatch.setattr(token_cache, "CHUNK_IMAGES", 3)
    monkeypatch.setattr(token_cache, "BATCH_VIEWS", 2)


@pytest.fixture
def make(tmp_path, dataset, small_chunks):
    """Return a cache of the data set's codes."""

    def make(folder="cache", config=None, weights="w"):
        tokens = config or TokensConfig(resolutions=("8x8", "16x8"), crops=2)
        key = TokensKey(weights=weights, precision="fp32", images=dataset.content_key)
        return TokenCache(tmp_path / folder, key, tokens)

    return make


def encode(images):
    """One codebook, three tokens: brightness of the left third, the whole, and the right third."""
    thirds = [images[..., : images.shape[-1] // 3], images, images[..., -(images.shape[-1] // 3) :]]
    return torch.stack([(part.mean((1, 2, 3)) * (CODES - 1)).round().long() for part in thirds], dim=1)[:, None]


def fill(cache, dataset, encode=encode, progress=lambda done, total: None):
    cache.fill(dataset, encode, CODES, progress)
    return cache.codes()


def test_every_image_is_there_at_each_resolution_with_its_crops_and_mirror_images(make, dataset):
    codes = fill(make(), dataset)
    assert codes.shape == (8, 2, 4, 1, 3)
    assert codes.dtype == np.uint16
    assert isinstance(codes, np.memmap)
    assert not codes.flags.writeable
    assert np.array_equal(codes[:, :, 1::2, 0, ::-1], codes[:, :, 0::2, 0])  # mirrored: left is right
    assert not np.array_equal(codes[:, :, 0], codes[:, :, 2])  # two crops
    plain = fill(make(config=TokensConfig(resolutions=("16x8",), flip=False)), dataset)
    assert np.array_equal(plain[:, 0, 0], codes[:, 1, 0])


def test_what_is_there_is_not_made_again_and_what_was_killed_goes_on(make, dataset):
    whole = fill(make("undisturbed"), dataset)
    calls = []

    def dying(images):
        calls.append(len(images))
        if len(calls) == 15:
            raise Killed
        return encode(images)

    with pytest.raises(Killed):
        fill(make(), dataset, dying)
    kept = sorted((make().folder / "chunks").glob("*.npy"))
    assert [path.name for path in kept] == ["000000.npy"]
    reports = []
    calls = [None] * 15
    with pytest.raises(StoreError, match="holds no tokens"):
        make().codes()
    assert np.array_equal(fill(make(), dataset, dying, lambda *seen: reports.append(seen)), whole)
    assert len(calls) == 15 + 12 + 8  # of the second chunk and the third, which is smaller
    assert reports == [(3, 8), (6, 8), (8, 8)]
    assert [path.name for path in sorted(make().folder.iterdir())] == ["about.json", "codes.npy"]
    num_calls = len(calls)
    fill(make(), dataset, dying)
    assert len(calls) == num_calls


def test_other_weights_images_or_views_are_other_codes(make, dataset):
    folders = [
        make().folder,
        make(weights="v").folder,
        make(config=TokensConfig(resolutions=("8x8",))).folder,
        make(config=TokensConfig(resolutions=("8x8",), crops=2)).folder,
    ]
    assert len(set(folders)) == 4
    fill(make(), dataset)
    about = json.loads((make().folder / "about.json").read_text())
    assert (about["weights"], about["images"], about["crops"]) == ("w", dataset.content_key, 2)


def test_processes_share_the_chunks_out(make, dataset, monkeypatch):
    alone = fill(make("alone"), dataset)
    monkeypatch.setattr(distributed, "world_size", lambda: 2)
    monkeypatch.setattr(distributed, "is_main", lambda: False)
    monkeypatch.setattr(distributed, "rank", lambda: 1)
    make().fill(dataset, encode, CODES, lambda done, total: None)
    assert [path.name for path in (make().folder / "chunks").iterdir()] == ["000001.npy"]
    monkeypatch.setattr(distributed, "rank", lambda: 0)
    monkeypatch.setattr(distributed, "is_main", lambda: True)
    assert np.array_equal(fill(make(), dataset), alone)


def test_a_broken_file_is_named(make, dataset):
    cache = make()
    fill(cache, dataset)
    cache.path.write_bytes(b"not an array")
    with pytest.raises(StoreError, match=r"codes\.npy holds no tokens .* Delete it"):
        make().codes()
