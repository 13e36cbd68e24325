"""Crops keep the aspect ratio; resizing is antialiased."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from vtbench.data.resize import largest_crop, official_crop, resize, to_array

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
