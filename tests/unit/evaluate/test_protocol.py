"""The image paths of the presets, against independent arithmetic."""

import numpy as np
import pytest
import torch
from PIL import Image

from vtbench.data import open_dataset
from vtbench.errors import ResolutionError
from vtbench.evaluate.protocol import ImagePath, dataset_protocol, plain_bilinear, to_uint8
from vtbench.schema.preset import PRESETS
from vtbench.schema.run import Component

LEVELS = torch.arange(256, dtype=torch.uint8).reshape(1, 1, 16, 16).repeat(1, 3, 1, 1)
CHANGED = {"canonical": 0, "titok": 0, "llamagen": 0, "seed_voken": 63, "unitok": 0, "alit": 0}
"""Of 256 levels, how many an untouched image loses by going through the model's range and back."""


def _path(name, **options):
    return ImagePath.of(PRESETS[name], **options)


def _picture(height, width, seed=0):
    return Image.fromarray(np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8))


def test_rounding_is_to_the_nearest_and_brings_uint8_back():
    assert torch.equal(to_uint8(LEVELS.float() / 255), LEVELS)
    edges = torch.tensor([-0.5, 0.6 / 255, 0.4 / 255, 1.5]).expand(1, 3, 1, 4)
    assert to_uint8(edges)[0, 0, 0].tolist() == [0, 1, 0, 255]
    assert to_uint8(edges, "truncate")[0, 0, 0].tolist() == [0, 0, 0, 255]
    assert to_uint8(edges, "half up", "[-1, 1]")[0, 0, 0].tolist() == [0, 1, 0, 255]
    with pytest.raises(ValueError, match="8 bits"):
        to_uint8(edges, "none")


@pytest.mark.parametrize("name", PRESETS)
def test_how_many_levels_an_untouched_image_loses(name):
    again = _path(name).again(LEVELS)
    assert int((again != LEVELS)[0, 0].sum()) == CHANGED[name]
    assert int((LEVELS.int() - again.int()).max()) == (CHANGED[name] > 0)


def test_truncated_reconstructions_are_half_a_level_darker():
    images = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    levels = {name: float(_path(name).to_levels(images).double().mean()) for name in PRESETS}
    for name in ("titok", "llamagen", "unitok"):
        assert levels[name] == pytest.approx(levels["canonical"], abs=0.02)
    for name in ("seed_voken", "alit"):
        assert levels["canonical"] - levels[name] == pytest.approx(0.5, abs=0.02)


def test_floats_stay_floats_where_nothing_is_rounded():
    images = torch.rand(1, 3, 8, 8, generator=torch.Generator().manual_seed(0))
    floats = _path("seed_voken", over_features=True)
    assert torch.equal(floats.to_levels(images), images * 255)
    assert torch.equal(floats.again(LEVELS), LEVELS)


@pytest.mark.parametrize("name", PRESETS)
@pytest.mark.parametrize("size", [(32, 32), (32, 48)])
def test_an_image_of_the_size_stays_as_it_is(name, size):
    picture = _picture(*size)
    assert np.array_equal(_path(name).resize(picture, size), np.asarray(picture).transpose(2, 0, 1))


@pytest.mark.parametrize("name", ["canonical", "titok", "llamagen", "seed_voken"])
@pytest.mark.parametrize(("source", "size"), [((90, 70), (32, 32)), ((60, 200), (32, 48)), ((20, 25), (32, 32))])
def test_any_image_comes_to_the_size(name, source, size):
    assert _path(name).resize(_picture(*source), size).shape == (3, *size)


def test_adms_crop_halves_by_boxes_before_it_resizes():
    picture = _picture(128, 192)
    array = np.asarray(picture, dtype=float)
    halved = array.reshape(64, 2, 96, 2, 3).mean((1, 3)).round().reshape(32, 2, 48, 2, 3).mean((1, 3))
    expected = halved[:, 8:40].transpose(2, 0, 1)
    assert np.abs(_path("canonical").resize(picture, (32, 32)) - expected).max() <= 2  # it rounds up to four times
    assert np.abs(_path("titok").resize(picture, (32, 32)) - expected).max() > 2


def test_bilinear_without_antialiasing_looks_at_two_pixels_a_side():
    picture = _picture(40, 60)
    array = np.asarray(picture, dtype=float)
    places = 4 * np.arange(10) + 1.5  # half-pixel centres of a reduction by 4
    low = places.astype(int)
    rows = (array[low] + array[low + 1]) / 2
    both = (rows[:, 4 * np.arange(15) + 1] + rows[:, 4 * np.arange(15) + 2]) / 2
    expected = both[:, 2:12].transpose(2, 0, 1)
    assert np.abs(_path("seed_voken").resize(picture, (10, 10)) - expected).max() <= 0.5
    assert _path("seed_voken").resize(picture, (10, 10)).std() > 1.5 * _path("titok").resize(picture, (10, 10)).std()


@pytest.mark.parametrize("name", ["unitok", "alit"])
def test_a_path_without_resize_cuts_the_middle_and_refuses_small_images(name):
    picture = _picture(40, 60)
    middle = np.asarray(picture)[4:36, 14:46].transpose(2, 0, 1)
    assert np.array_equal(_path(name).resize(picture, (32, 32)), middle)
    with pytest.raises(ResolutionError, match="does not resize"):
        _path(name).resize(picture, (64, 32))


def test_a_networks_size_is_reached_with_half_pixel_centres():
    levels = torch.tensor([[0.0, 100.0], [0.0, 100.0]]).expand(1, 3, 2, 2)
    assert plain_bilinear(levels, (4, 4))[0, 0, 0].tolist() == [0, 25, 75, 100]


def test_a_data_set_says_how_its_images_come_to_a_size(tmp_path):
    protocol = dataset_protocol(open_dataset(Component(name="icons"), "val", tmp_path), 8, 4, "bf16")
    assert (protocol.crop, protocol.resize_filter) == ("none", "drawn at the size")
    assert (protocol.num_samples, protocol.batch_size, protocol.precision) == (8, 4, "bf16")
