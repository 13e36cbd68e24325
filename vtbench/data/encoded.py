"""What data sets of encoded photographs share: decoding, cropping, flipping.

The training crop follows VibeToken's data mixing (input and target size drawn apart) with the aspect ratio kept: the
largest crop of the target's aspect ratio, at a random place, from which input and target are each resized. `official:
true` does as the official code: a square of 512, which is squeezed to the target's size, and an input that is a
resize of the target.
"""

from __future__ import annotations

import io
import struct
import zlib
from abc import abstractmethod
from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Int64, UInt8
from PIL import Image
from pydantic import PositiveInt
from torch import Tensor

from vtbench.data.dataset import ImageDataset, Size
from vtbench.data.resize import adm_crop, largest_crop, official_crop, resize, to_array
from vtbench.errors import DataError
from vtbench.schema.base import Frozen
from vtbench.schema.run import irrelevant
from vtbench.seeding import rng


class EncodedConfig(Frozen):
    """Where photographs lie and how training cuts them.

    Attributes:
        root: folder; not part of a run's id, so that a copy elsewhere does not train again.
        release: a free label that is part of a run's id; change it when the files under the same names change.
        official: crop and squeeze as the official code does.
        shorter_edge: side in pixels of the official crop; without `official` it has no effect.
    """

    root: str = irrelevant(...)
    release: str = ""
    official: bool = False
    shorter_edge: PositiveInt = 512


class EncodedImages(ImageDataset):
    """Images that are stored as files; a subclass says where, by `read`."""

    config: EncodedConfig
    crop, resize_filter, antialias = "adm", "box halvings, then bicubic", True

    @abstractmethod
    def read(self, index: int) -> tuple[bytes, str]:
        """Return an image file's bytes, and its name for messages.

        Raises:
            DataError: it cannot be read.
        """

    def images(self, indices: Sequence[int], size: Size) -> UInt8[Tensor, "batch 3 height width"]:
        """Return images as ADM's crop brings them to the size: what published figures are measured on."""
        return torch.from_numpy(np.stack([to_array(adm_crop(decode(*self.read(index)), size)) for index in indices]))

    def training_pair(
        self, indices: Sequence[int], input_size: Size, target_size: Size, rng: np.random.Generator, flip: bool
    ) -> tuple[UInt8[Tensor, "batch 3 in_height in_width"], UInt8[Tensor, "batch 3 out_height out_width"]]:
        """Return the same random crop at both sizes.

        The target's aspect ratio decides the crop; an input of another aspect ratio is the same crop squeezed, so
        that both always show the same view.
        """
        inputs, targets = [], []
        for index in indices:
            down, right, mirror = rng.random(3)
            image = decode(*self.read(index))
            if self.config.official:
                square = official_crop(image, self.config.shorter_edge, (down, right))
                target = resize(square, target_size)
                source = resize(target, input_size)
            else:
                box = largest_crop((image.height, image.width), target_size, (down, right))
                source, target = resize(image, input_size, box), resize(image, target_size, box)
            step = -1 if flip and mirror < 0.5 else 1
            inputs.append(to_array(source)[:, :, ::step])
            targets.append(to_array(target)[:, :, ::step])
        return torch.from_numpy(np.stack(inputs)), torch.from_numpy(np.stack(targets))


def fixed_order(num_images: int) -> Int64[np.ndarray, " num_images"]:
    """Return a permutation that never changes: in its order, any first n images are a fair sample of all classes."""
    return rng(0, "order of encoded images").permutation(num_images)


def decode(data: bytes, name: str) -> Image.Image:
    """Return the RGB image in `data`; what is transparent becomes white.

    Raises:
        DataError: the data are no image, or a broken one; the message gives `name`.
    """
    try:
        with Image.open(io.BytesIO(data)) as image:
            if image.has_transparency_data:
                white = Image.new("RGBA", image.size, "white")
                return Image.alpha_composite(white, image.convert("RGBA")).convert("RGB")
            return image.convert("RGB")
    except (
        OSError,
        SyntaxError,
        ValueError,
        EOFError,
        struct.error,
        zlib.error,
        Image.DecompressionBombError,
    ) as error:
        raise DataError(f"{name} is not an image that can be read ({error}). Replace or remove the file.") from error
