"""A JPEG file's own equivalent is its own size."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from vtbench.evaluate.metrics.jpeg_bits_per_pixel import JpegBitsPerPixel


def _file(image, quality):
    """Return what JPEG makes of an image, and the bits a pixel of its file."""
    file = io.BytesIO()
    array = image.permute(1, 2, 0).numpy()
    Image.fromarray(array).save(file, format="jpeg", quality=quality, subsampling="4:2:0", optimize=True)
    decoded = torch.from_numpy(np.array(Image.open(file))).permute(2, 0, 1)
    return decoded, 8 * len(file.getvalue()) / (array.shape[0] * array.shape[1])


@pytest.mark.parametrize("quality", [20, 50, 80])
def test_a_jpeg_file_is_equivalent_to_itself(photographs, quality):
    images = photographs(3, 96)
    made = [_file(image, quality) for image in images]
    bits = JpegBitsPerPixel().measure(images, torch.stack([decoded for decoded, _ in made]))
    np.testing.assert_allclose(bits.numpy(), [rate for _, rate in made], rtol=1e-9)


def test_between_two_qualities_it_lies_between_their_files(photographs):
    (image,) = photographs(1, 128)
    (first, low), (second, high) = _file(image, 40), _file(image, 60)
    mixed = first.clone()
    mixed[:, :64] = second[:, :64]
    (bits,) = JpegBitsPerPixel().measure(image[None], mixed[None]).tolist()
    assert low < bits < high


def test_ends_of_the_scale(photographs):
    (image,) = photographs(1, 64)
    bits = JpegBitsPerPixel().measure(image.expand(2, -1, -1, -1), torch.stack([image, 255 - image])).tolist()
    assert bits == pytest.approx([_file(image, 95)[1], _file(image, 1)[1]])


def test_better_images_are_worth_more_bits(photographs, spoil, value_of_pairs):
    images = photographs(2, 64)
    values = [value_of_pairs(JpegBitsPerPixel(), images, spoil(images, quality)) for quality in (10, 70)]
    assert values[0] < values[1]
    assert JpegBitsPerPixel.higher_is_better
