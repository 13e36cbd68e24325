"""Crops of an image and their antialiased resizing, from uint8 to uint8.

A crop has the aspect ratio of the size that it is resized to, so nothing is squeezed; `official_crop` is the
exception. Resizing is Pillow's bicubic, whose support grows with the factor of reduction; only `adm_crop` takes more
than one step.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import UInt8
from PIL import Image

from vtbench.errors import ResolutionError

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


def adm_crop(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return an image as ADM brings it to `size` (Dhariwal & Nichol 2021, arXiv:2105.05233, its data loader).

    While both sides are at least twice as long as needed they are halved by a box filter; then the image is resized,
    bicubic, until it just covers `size`, and the centre is cut out. For a square this is ADM's crop; other sizes are
    treated alike.

    Args:
        image: an RGB image.
        size: height and width in pixels.
    """
    height, width = size
    while image.height >= 2 * height and image.width >= 2 * width:
        image = image.resize((image.width // 2, image.height // 2), Image.Resampling.BOX)
    scale = max(height / image.height, width / image.width)
    covering = (max(width, round(image.width * scale)), max(height, round(image.height * scale)))
    return centre_crop(image.resize(covering, Image.Resampling.BICUBIC), size)


def shorter_side_size(source: tuple[int, int], size: tuple[int, int]) -> tuple[int, int]:
    """Return the height and width at which an image of `source` (height, width) just covers `size`, rounded down."""
    if source[0] * size[1] < source[1] * size[0]:
        return size[0], max(size[1], size[0] * source[1] // source[0])
    return max(size[0], size[1] * source[0] // source[1]), size[1]


def centre_crop(image: Image.Image, size: tuple[int, int]) -> Image.Image:
    """Return the middle of an image, `size` (height, width) pixels, the odd pixel left at the right and the bottom.

    Raises:
        ResolutionError: the image is smaller than that.
    """
    upper, left = (image.height - size[0]) // 2, (image.width - size[1]) // 2
    if upper < 0 or left < 0:
        raise ResolutionError(
            f"A centre crop of {size[0]}x{size[1]} does not fit into an image of {image.height}x{image.width}, and this"
            " protocol does not resize. Choose a smaller resolution or another protocol."
        )
    return image.crop((left, upper, left + size[1], upper + size[0]))


def to_array(image: Image.Image) -> UInt8[np.ndarray, "3 height width"]:
    """Return an RGB image's pixels, channels first."""
    return np.asarray(image).transpose(2, 0, 1)
