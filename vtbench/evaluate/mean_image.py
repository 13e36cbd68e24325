"""The floor of every reconstruction: each image answered by the mean training image."""

from __future__ import annotations

from dataclasses import replace
from functools import cached_property
from pathlib import Path

import torch
from jaxtyping import Float64, UInt8
from torch import Tensor

from vtbench.data.dataset import ImageDataset, Size
from vtbench.evaluate.array_cache import load_array, save_array
from vtbench.evaluate.metric import Batch, Quantity, Value
from vtbench.evaluate.metrics.psnr import Psnr
from vtbench.schema.base import content_hash
from vtbench.seeding import rng

MAX_IMAGES = 512
_BATCH = 64


def mean_image(train_dataset: ImageDataset, size: Size, cache_dir: Path) -> UInt8[Tensor, "3 height width"]:
    """Return the mean of at most `MAX_IMAGES` training images at `size` (height, width), rounded to uint8.

    It is kept in `<cache_dir>/mean_images/`, keyed by the images.
    """
    indices = rng(0, "mean_image").permutation(len(train_dataset))[:MAX_IMAGES].tolist()
    key = content_hash({"content_key": train_dataset.content_key, "size": size, "num_images": len(indices)}, length=32)
    path = cache_dir / "mean_images" / f"{key}.npy"
    cached = load_array(path)
    if cached is not None:
        return torch.from_numpy(cached)
    total = torch.zeros(3, *size, dtype=torch.int64)
    for start in range(0, len(indices), _BATCH):
        total += train_dataset.images(indices[start : start + _BATCH], size).sum(dim=0, dtype=torch.int64)
    mean = (total.double() / len(indices)).round().to(torch.uint8)
    save_array(path, mean.numpy())
    return mean


class MeanImagePsnr(Psnr):
    """PSNR in dB of answering every image with the mean training image; what the model produced does not matter.

    Args:
        train_dataset: the training split.
        size: height and width in pixels.
        cache_dir: where the mean image is kept.
    """

    name = "psnr_mean_image"
    title = "PSNR (mean image)"

    def __init__(self, train_dataset: ImageDataset, size: Size, cache_dir: Path) -> None:
        self._train_dataset, self._size, self._cache_dir = train_dataset, size, cache_dir

    @cached_property
    def _mean(self) -> UInt8[Tensor, "3 height width"]:
        return mean_image(self._train_dataset, self._size, self._cache_dir)

    @classmethod
    def protocol(cls) -> dict[str, Value]:
        """Return how many training images are averaged."""
        return {"max_train_images": MAX_IMAGES}

    def quantities(self) -> tuple[Quantity, ...]:
        """Return the one number of each image, under a key that names the training images."""
        (quantity,) = super().quantities()
        return (replace(quantity, key=f"{self.name}/{self._train_dataset.content_key}/{MAX_IMAGES}"),)

    def rows(self, batch: Batch) -> dict[str, Tensor]:
        """Return `measure` of the batch."""
        return {self.quantities()[0].key: self.measure(batch.reference, batch.produced)}

    def measure(
        self, reference: UInt8[Tensor, "batch 3 height width"], produced: UInt8[Tensor, "batch 3 height width"]
    ) -> Float64[Tensor, " batch"]:
        """Return the PSNR of the mean image for each reference image."""
        return super().measure(reference, self._mean.to(reference.device).expand_as(reference))
