"""Crops of an image and their antialiased resizing, from uint8 to uint8, in one step from the source.

A crop has the aspect ratio of the size that it is resized to, so nothing is squeezed; `official_crop` is the
exception. Resizing is Pillow's bicubic, whose support grows with the factor of reduction.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8
from PIL import Image

Box = tuple[float, float, float, float]
"""Left, upper, right and lower edge in pixels of the source."""


def largest_crop(source: tuple[int, int], aspect: tuple[int, int], position: tuple[float, float] = (0.5, 0.5)) -> Box:
    """Return the largest box of one aspect ratio that lies in an image.

    Args:
        source: height and width of the image in pixels.
        aspect: height and width whose ratio the box has.
        position: where the box lies in the room that is left, downwards and to the right, from 0 to 1; the default is
            the centre.
    """
    bottom, side = map(float, source)
    scale = min(bottom / aspect[0], side / aspect[1])
    height, width = min(aspect[0] * scale, bottom), min(aspect[1] * scale, side)
    upper, left = (bottom - height) * position[0], (side - width) * position[1]
    return left, upper, min(left + width, side), min(upper + height, bottom)


def resize(image: Image.Image, size: tuple[int, int], box: Box | None = None) -> Image.Image:
    """Return `box` of an RGB image (default: all of it) at `size` (height, width).

    At the box's edge the filter also sees the pixels around it, as if the image were resized first and then cropped.
    """
    return image.resize((size[1], size[0]), Image.Resampling.BICUBIC, box=box)


def official_crop(image: Image.Image, edge: int, position: tuple[float, float]) -> Image.Image:
    """Return a square as the official code cuts it: the shorter edge is resized to `edge`, then the square is cut.

    Args:
        image: an RGB image.
        edge: side of the square in pixels.
        position: where the square lies, as for `largest_crop`.
    """
    shorter = min(image.size)
    width, height = (max(edge, edge * side // shorter) for side in image.size)
    scaled = resize(image, (height, width))
    upper, left = round((height - edge) * position[0]), round((width - edge) * position[1])
    return scaled.crop((left, upper, left + edge, upper + edge))


def to_array(image: Image.Image) -> UInt8[np.ndarray, "3 height width"]:
    """Return an RGB image's pixels, channels first."""
    return np.asarray(image).transpose(2, 0, 1)
