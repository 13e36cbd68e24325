"""Decoding and training crops of encoded images."""

import io
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from vtbench.data.dataset import Split
from vtbench.data.encoded import EncodedConfig, EncodedImages, decode, fixed_order
from vtbench.data.resize import resize, to_array
from vtbench.errors import DataError


def encoded(pixels: np.ndarray, mode: str | None = None) -> bytes:
    buffer = io.BytesIO()
    image = Image.fromarray(pixels)
    (image.convert(mode) if mode else image).save(buffer, "png")
    return buffer.getvalue()


class Listed(EncodedImages):
    """Images from a list in memory."""

    Config = EncodedConfig

    def __init__(self, config: EncodedConfig, split: Split, cache_dir: Path) -> None:
        self.config = config
        self.labels = np.zeros(2, dtype=np.int64)
        ramp = np.broadcast_to(np.arange(0, 240, 2, dtype=np.uint8)[None, :, None], (60, 120, 3))
        self.data = [encoded(np.ascontiguousarray(ramp)), encoded(np.ascontiguousarray(ramp.transpose(1, 0, 2)))]

    def read(self, index: int) -> tuple[bytes, str]:
        return self.data[index], f"image {index}"


def listed(**options: object) -> Listed:
    return Listed(EncodedConfig.model_validate({"root": ".", **options}), "train", Path())


def test_images_are_centre_crops() -> None:
    images = listed().images([0, 1], (30, 30))
    assert images.shape == (2, 3, 30, 30)
    assert images.dtype == torch.uint8
    middle = images[0, 0, 0].float()
    assert middle.mean() == pytest.approx(119, abs=1)
    assert middle[-1] - middle[0] == pytest.approx(116, abs=3)
    assert torch.equal(images[1].transpose(1, 2), images[0])


def test_a_pair_shows_the_same_crop_at_both_sizes() -> None:
    inputs, targets = listed().training_pair([0] * 6, (20, 20), (40, 40), np.random.default_rng(1), flip=True)
    assert inputs.shape == (6, 3, 20, 20)
    assert targets.shape == (6, 3, 40, 40)
    halved = targets.float().unfold(2, 2, 2).unfold(3, 2, 2).mean((-1, -2))
    assert (inputs.float() - halved).abs().max() < 4
    directions = {bool(row[0] < row[-1]) for row in targets[:, 0, 0].int()}
    assert directions == {True, False}
    assert len({int(row.float().mean()) for row in targets[:, 0, 0]}) > 3


def test_without_flip_nothing_is_mirrored() -> None:
    _, targets = listed().training_pair([0] * 8, (20, 20), (20, 20), np.random.default_rng(1), flip=False)
    assert all(row[0] < row[-1] for row in targets[:, 0, 0].int())


def test_the_input_is_no_resize_of_the_target() -> None:
    """An input larger than the target keeps detail that the target has lost."""
    data = listed()
    stripes = np.tile(np.array([0, 255], np.uint8).repeat(2), 30)
    data.data[0] = encoded(np.ascontiguousarray(np.broadcast_to(stripes[None, :, None], (120, 120, 3))))
    inputs, targets = data.training_pair([0], (120, 120), (30, 30), np.random.default_rng(0), flip=False)
    assert targets.float().std() < 10
    assert inputs.float().std() > 120


def test_the_crop_has_the_targets_aspect_ratio() -> None:
    _, wide = listed().training_pair([0], (30, 60), (30, 60), np.random.default_rng(0), flip=False)
    assert wide[0, 0, 0, 0] < 5
    assert wide[0, 0, 0, -1] > 232  # the whole width
    _, square = listed().training_pair([0], (30, 30), (30, 30), np.random.default_rng(0), flip=False)
    assert int(square[0, 0, 0, -1]) - int(square[0, 0, 0, 0]) == pytest.approx(116, abs=4)  # half of it


def test_official_squeezes_a_square_and_resizes_the_target() -> None:
    data = listed(official=True, shorter_edge=60)
    inputs, targets = data.training_pair([0], (60, 60), (30, 60), np.random.default_rng(0), flip=False)
    assert int(targets[0, 0, 0, -1]) - int(targets[0, 0, 0, 0]) == pytest.approx(118, abs=4)
    target = Image.fromarray(targets[0].permute(1, 2, 0).numpy())
    np.testing.assert_array_equal(inputs[0].numpy(), to_array(resize(target, (60, 60))))


@pytest.mark.parametrize("mode", ["L", "1", "P", "RGB", "CMYK"])
def test_every_mode_becomes_rgb(mode: str) -> None:
    buffer = io.BytesIO()
    Image.new(mode, (5, 4)).save(buffer, "tiff")
    assert decode(buffer.getvalue(), "x").mode == "RGB"


def test_what_is_transparent_becomes_white() -> None:
    pixels = np.zeros((2, 2, 4), np.uint8)
    pixels[0, :, 3] = 255
    assert to_array(decode(encoded(pixels), "x"))[0].tolist() == [[0, 0], [255, 255]]


@pytest.mark.parametrize("cut", [0, 10, 60, -200])
def test_a_broken_image_is_named(cut: int) -> None:
    whole = encoded(np.random.default_rng(0).integers(0, 255, (40, 40, 3), dtype=np.uint8))
    with pytest.raises(DataError, match=r"a/b\.png is not an image that can be read"):
        decode(whole[:cut], "a/b.png")


def test_the_fixed_order_is_a_permutation_that_never_changes() -> None:
    assert sorted(fixed_order(100)) == list(range(100))
    assert fixed_order(5).tolist() == fixed_order(5).tolist() != list(range(5))
