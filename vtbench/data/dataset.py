"""What the harness asks of a data set."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Literal

import numpy as np
from jaxtyping import Int64, UInt8
from torch import Tensor

from vtbench.schema.base import Frozen

Size = tuple[int, int]
Split = Literal["train", "val"]


class ImageDataset(ABC):
    """Labelled images that can be had at any size with their aspect ratio kept.

    A subclass nests its options in `Config` and is made by `Dataset(config, split, cache_dir)`. Making one is cheap and
    raises a `DataError` if files are missing, so a plan can be checked before anything runs.

    Attributes:
        content_key: hex digest of what the images are (files, split, version); caches and protocols are keyed by it.
        labels: class of each image, shape (num_images,).
        label_names: name of each class.
        credit: line to print wherever images are shown, or None.
        crop, resize_filter, antialias: how `images` brings an image to a size, as fields of a protocol.
    """

    Config: ClassVar[type[Frozen]]

    content_key: str
    labels: Int64[np.ndarray, " num_images"]
    label_names: tuple[str, ...]
    credit: str | None = None
    crop: str = "centre"
    resize_filter: str = "bicubic"
    antialias: bool = True

    @abstractmethod
    def __init__(self, config: Frozen, split: Split, cache_dir: Path) -> None: ...

    def __len__(self) -> int:
        return len(self.labels)

    def prepare(self, sizes: Sequence[Size]) -> None:  # noqa: B027 (empty on purpose: most data sets need no cache)
        """Make whatever cache `images` at these sizes needs; does nothing by default."""

    @abstractmethod
    def images(self, indices: Sequence[int], size: Size) -> UInt8[Tensor, "batch 3 height width"]:
        """Return images at `size` (height, width), the centre of its aspect ratio, with antialiasing."""

    @abstractmethod
    def training_pair(
        self, indices: Sequence[int], input_size: Size, target_size: Size, rng: np.random.Generator, flip: bool
    ) -> tuple[UInt8[Tensor, "batch 3 in_height in_width"], UInt8[Tensor, "batch 3 out_height out_width"]]:
        """Return the same views of images at the input's and at the target's size.

        Both are resized from the source, each with antialiasing; `rng` draws the crops and, if `flip`, horizontal
        flips.
        """
