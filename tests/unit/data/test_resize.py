"""Crops keep the aspect ratio; resizing is antialiased."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vtbench.data.resize import (
    adm_crop,
    centre_crop,
    largest_crop,
    official_crop,
    resize,
    shorter_side_size,
    to_array,
)
from vtbench.errors import ResolutionError

SIDES = st.integers(1, 2000)
PLACES = st.floats(0, 1)


@given(st.tuples(SIDES, SIDES), st.tuples(SIDES, SIDES), st.tuples(PLACES, PLACES))
def test_the_crop_is_the_largest_of_its_aspect_ratio(
    source: tuple[int, int], aspect: tuple[int, int], position: tuple[float, float]
) -> None:
    left, upper, right, lower = largest_crop(source, aspect, position)
    assert 0 <= left < right <= source[1]
    assert 0 <= upper < lower <= source[0]
    assert (right - left) * aspect[0] == pytest.approx((lower - upper) * aspect[1], rel=1e-6)
    assert right - left == pytest.approx(source[1]) or lower - upper == pytest.approx(source[0])


def test_where_the_crop_lies() -> None:
    assert largest_crop((10, 30), (1, 1)) == (10, 0, 20, 10)
    assert largest_crop((10, 30), (1, 1), (0.9, 0.0)) == (0, 0, 10, 10)
    assert largest_crop((30, 10), (1, 1), (1.0, 0.0)) == (0, 20, 10, 30)


def gradient(height: int, width: int) -> Image.Image:
    return Image.fromarray(np.tile(np.linspace(0, 255, width, dtype=np.uint8)[None, :, None], (height, 1, 3)))


def test_resizing_takes_the_box() -> None:
    image = gradient(8, 64)
    image.paste((255, 0, 255), (32, 0, 64, 8))
    pixels = to_array(resize(image, (4, 8), (0.0, 0.0, 32.0, 8.0)))
    assert pixels.shape == (3, 4, 8)
    assert pixels.dtype == np.uint8
    np.testing.assert_array_equal(pixels[0, :, :6], pixels[1, :, :6])
    assert int(pixels[0, 0, 7]) == pytest.approx(120, abs=12)


def test_resizing_is_antialiased() -> None:
    board = np.indices((64, 64)).sum(0) % 2 * 255
    small = to_array(resize(Image.fromarray(board.astype(np.uint8)).convert("RGB"), (8, 8)))
    assert np.abs(small.astype(int) - 127).max() <= 3


@pytest.mark.parametrize(("height", "width"), [(20, 40), (40, 20), (31, 31), (33, 47)])
def test_the_official_crop_is_a_square(height: int, width: int) -> None:
    square = official_crop(gradient(height, width), 32, (0.3, 1.0))
    assert square.size == (32, 32)


def test_the_official_crop_shows_the_place() -> None:
    image = gradient(16, 64)
    assert (
        to_array(official_crop(image, 16, (0.0, 0.0))).mean()
        < 64
        < to_array(official_crop(image, 16, (0.0, 1.0))).mean()
    )


@given(st.tuples(SIDES, SIDES), st.tuples(st.integers(1, 500), st.integers(1, 500)))
def test_the_shorter_side_just_covers_the_size(source: tuple[int, int], size: tuple[int, int]) -> None:
    height, width = shorter_side_size(source, size)
    assert height >= size[0]
    assert width >= size[1]
    assert height == size[0] or width == size[1]


def test_a_centre_crop_leaves_the_odd_pixel_at_the_end() -> None:
    row = Image.fromarray(np.arange(15, dtype=np.uint8).reshape(3, 5).repeat(3).reshape(3, 5, 3))
    assert to_array(centre_crop(row, (2, 2)))[0].tolist() == [[1, 2], [6, 7]]
    with pytest.raises(ResolutionError, match="4x4 does not fit into an image of 3x5"):
        centre_crop(row, (4, 4))


@given(st.tuples(st.integers(8, 200), st.integers(8, 200)), st.sampled_from([(8, 8), (8, 12), (16, 8)]))
def test_adms_crop_comes_to_any_size_and_keeps_a_plain_colour(source: tuple[int, int], size: tuple[int, int]) -> None:
    plain = Image.new("RGB", source, (10, 200, 30))
    found = to_array(adm_crop(plain, size))
    assert found.shape == (3, *size)
    assert found[:, 0, 0].tolist() == [10, 200, 30]
    assert np.ptp(found.reshape(3, -1), axis=1).max() == 0
