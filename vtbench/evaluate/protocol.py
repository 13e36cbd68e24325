"""What a protocol does to images: crop, resize, and conversion to 8 bits, as its fields say.

The paths are those of the systems' public evaluation code. Deviation: OpenCV's bilinear resize (`seed_voken`) works in
fixed point; here it is float32, then rounded, which differs by at most one level. Sizes need not be square.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, UInt8
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from vtbench.data.dataset import ImageDataset, Size
from vtbench.data.resize import adm_crop, centre_crop, resize, shorter_side_size, to_array
from vtbench.schema.preset import (
    ADM,
    CENTRE_ONLY,
    HALF_UP,
    MINUS_ONE_TO_ONE,
    NO_ROUNDING,
    ROUND,
    SHORTER_SIDE,
    TRUNCATE,
    ZERO_TO_ONE,
    Preset,
)
from vtbench.schema.protocol import Protocol


def dataset_protocol(dataset: ImageDataset, num_samples: int, batch_size: int, precision: str) -> Protocol:
    """Return the protocol of measuring a model's reconstructions of a data set's images.

    Args:
        dataset: says how its images come to a size.
        num_samples: how many are measured.
        batch_size: of the model's forward pass.
        precision: of that pass.
    """
    return Protocol(
        content_key=dataset.content_key,
        num_samples=num_samples,
        batch_size=batch_size,
        precision=precision,
        crop=dataset.crop,
        resize_filter=dataset.resize_filter,
        antialias=dataset.antialias,
    )


def to_uint8(
    images: Float[Tensor, "*batch 3 height width"], rounding: str = ROUND, value_range: str = ZERO_TO_ONE
) -> UInt8[Tensor, "*batch 3 height width"]:
    """Return images in [0, 1] as uint8, clamped.

    Args:
        images: reconstructions.
        rounding: `round`: the nearest of 255 steps, half to even; `half up`: 127.5 x + 128 cut off, x in [-1, 1];
            `truncate`: cut off.
        value_range: `[-1, 1]` goes by way of x = 2 u - 1, whose float32 error a cut shows.

    Raises:
        ValueError: no such rounding; `none` makes no uint8.
    """
    images = images.clamp(0, 1)
    if value_range == MINUS_ONE_TO_ONE:
        signed = images * 2 - 1
        if rounding == HALF_UP:
            return (127.5 * signed + 128).clamp(0, 255).to(torch.uint8)
        images = (signed + 1) / 2
    levels = images * 255
    if rounding == ROUND:
        return levels.round().to(torch.uint8)
    if rounding == HALF_UP:
        return (levels + 0.5).clamp(0, 255).to(torch.uint8)
    if rounding == TRUNCATE:
        return levels.to(torch.uint8)
    raise ValueError(f"'{rounding}' does not make 8 bits")


@dataclass(frozen=True, kw_only=True)
class ImagePath:
    """How a preset brings images to a size and to 8 bits.

    Attributes:
        crop, resize_filter, antialias, value_range, rounding: fields of `Protocol`.
    """

    crop: str
    resize_filter: str
    antialias: bool
    value_range: str
    rounding: str

    @classmethod
    def of(cls, preset: Preset, *, over_features: bool = False) -> ImagePath:
        """Return the path for metrics over pixels, or for those over a feature network."""
        fields = preset.of(over_features=over_features)
        return cls(**{name: fields[name] for name in cls.__dataclass_fields__})

    def resize(self, image: Image.Image, size: Size) -> UInt8[np.ndarray, "3 height width"]:
        """Return an RGB image at `size` (height, width).

        Raises:
            ResolutionError: the image is too small and the path does not resize.
        """
        if self.crop == ADM:
            return to_array(adm_crop(image, size))
        if self.crop == CENTRE_ONLY:
            return to_array(centre_crop(image, size))
        if self.crop != SHORTER_SIDE:
            raise ValueError(f"'{self.crop}' is no crop")
        covering = shorter_side_size((image.height, image.width), size)
        if self.antialias:
            return to_array(centre_crop(resize(image, covering), size))
        pixels = torch.from_numpy(to_array(image).copy())[None].float()
        plain = F.interpolate(pixels, covering, mode="bilinear", align_corners=False, antialias=False)
        array = plain[0].round().clamp(0, 255).to(torch.uint8).permute(1, 2, 0).numpy()
        return to_array(centre_crop(Image.fromarray(array), size))

    def to_levels(self, images: Float[Tensor, "*batch 3 height width"]) -> Tensor:
        """Return images in [0, 1] as metrics see them: uint8, or float32 in [0, 255] where nothing is rounded."""
        if self.rounding == NO_ROUNDING:
            return images.clamp(0, 1).float() * 255
        return to_uint8(images, self.rounding, self.value_range)

    def again(self, images: UInt8[Tensor, "*batch 3 height width"]) -> UInt8[Tensor, "*batch 3 height width"]:
        """Return what becomes of 8-bit images that go through the model's range and back, as references do."""
        if self.rounding == NO_ROUNDING:
            return images
        return to_uint8(images.float() / 255, self.rounding, self.value_range)


def plain_bilinear(levels: Float[Tensor, "batch 3 height width"], size: Size) -> UInt8[Tensor, "batch 3 _ _"]:
    """Return images in [0, 255] at a network's size, as `PLAIN_BILINEAR` says: pytorch-fid's resize, then rounded."""
    resized = F.interpolate(levels, size, mode="bilinear", align_corners=False, antialias=False)
    return resized.round().clamp(0, 255).to(torch.uint8)
