"""A generator's samples, and real images in their place, as sources of a pass: unpaired, against the training split.

The field's gFID is a distance from statistics of the training set (Dhariwal & Nichol 2021), so this is the reference
here too. The class of image i is a function of i, and so is its seed: every run, every way of sampling and every size
shows the same images of chance.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Int, Int64, UInt8
from PIL import Image
from torch import Tensor

from vtbench.data.dataset import ImageDataset, Size
from vtbench.errors import DataError
from vtbench.evaluate.one_pass import Source
from vtbench.evaluate.perturbation import perturbed
from vtbench.evaluate.reconstructions import checked_uint8
from vtbench.evaluate.sampled_codes import SampledCodes
from vtbench.schema.generation import GenerationConfig, GenerationPoint, Sampling
from vtbench.seeding import derive, rng
from vtbench.store.files import replacing

SEED = 0
"""Of the evaluation: no run's own."""


@dataclass(frozen=True)
class Sampler:
    """A generator and the decoder of its tokenizer, as the evaluation sees them.

    Attributes:
        sample: (labels on the CPU, a seed for each, way of sampling, number of tokens or None for all) -> codes.
        decode: (codes on the CPU, size, number of tokens or None) -> images, (batch, 3, height, width), in [0, 1].
        codebook_sizes: number of entries of each codebook.
        num_classes: classes that it knows.
    """

    sample: Callable[[Int64[Tensor, " batch"], Sequence[int], Sampling, int | None], Tensor]
    decode: Callable[[Int[Tensor, "batch num_codebooks tokens"], Size, int | None], Tensor]
    codebook_sizes: tuple[int, ...]
    num_classes: int


def seeds_of(positions: Sequence[int]) -> list[int]:
    """Return the seed of each image."""
    return [derive(SEED, "generate", position) for position in positions]


@dataclass(frozen=True)
class Selection:
    """Which classes are asked for, and which training images the samples are compared with.

    Attributes:
        labels: class of each sample.
        reference: training images, in the order of a fixed permutation.
    """

    labels: Int64[np.ndarray, " num_samples"]
    reference: tuple[int, ...]

    @classmethod
    def of(cls, config: GenerationConfig, dataset: ImageDataset, num_classes: int) -> Selection:
        """Return the selection of a training split.

        Raises:
            DataError: there are fewer than two training images.
        """
        if len(dataset) < 2:
            raise DataError("There are no training images to compare samples with.")
        order = [int(index) for index in rng(SEED, "generate", "reference").permutation(len(dataset))]
        positions = np.arange(config.num_samples)
        if config.classes == "balanced":
            labels = positions % num_classes
        else:
            labels = dataset.labels[[order[position % len(order)] for position in positions]]
        return cls(labels.astype(np.int64), tuple(order[: config.num_reference]))

    def shown(self, num_classes: int, num_each: int) -> list[list[int]]:
        """Return positions of the first samples of the first classes that have any; a list a class."""
        found = [np.flatnonzero(self.labels == label)[:num_each].tolist() for label in range(num_classes)]
        return [positions for positions in found if positions]


class _Unpaired(Source):
    """Images against a training split."""

    paired = False

    def __init__(self, train: ImageDataset, indices: Sequence[int], size: Size, batch_size: int) -> None:
        self._train, self._indices = train, list(indices)
        self.size, self.batch_size, self.num_reference = size, batch_size, len(self._indices)

    def reference(self, positions: range) -> UInt8[Tensor, "batch 3 height width"]:
        """Return training images."""
        return self._train.images([self._indices[position] for position in positions], self.size)

    def reference_labels(self) -> Int64[np.ndarray, " num_reference"]:
        """Return the training images' classes."""
        return self._train.labels[self._indices]


class GeneratedImages(_Unpaired):
    """Samples of one generation point.

    Args:
        sampler: the model.
        point: where.
        codes: of this point's way of sampling; at least as long as the point needs.
        selection: classes and reference images.
        train: the training split.
        batch_size: images that are decoded at once.
        about: what decides the samples.
        write_to: folder that gets each sample as a PNG, `000000.png` and so on; None writes none.
    """

    def __init__(
        self,
        sampler: Sampler,
        point: GenerationPoint,
        size: Size,
        codes: SampledCodes,
        selection: Selection,
        train: ImageDataset,
        batch_size: int,
        about: dict[str, Any],
        write_to: Path | None = None,
    ) -> None:
        super().__init__(train, selection.reference, size, batch_size)
        self._sampler, self._codes, self._num_tokens = sampler, codes, point.num_tokens
        self._labels, self._write_to = selection.labels, write_to
        self.about, self.num_produced = about, len(selection.labels)

    def labels(self, positions: range) -> Int64[Tensor, " batch"]:
        """Return the classes that were asked for."""
        return torch.from_numpy(self._labels[positions.start : positions.stop])

    def codebook_sizes(self) -> tuple[int, ...]:
        """Return the sampler's."""
        return self._sampler.codebook_sizes

    def produced(
        self, positions: range, reference: UInt8[Tensor, "0 3 height width"], perturb: float, with_codes: bool
    ) -> tuple[UInt8[Tensor, "batch 3 height width"], Int[Tensor, "batch codebooks tokens"]]:
        """Return samples and their codes.

        Raises:
            ResolutionError: the tokenizer cannot decode at this size.
            TrainingError: an image holds NaN or infinite values.
        """
        codes = self._codes.of(positions)[:, :, : self._num_tokens]
        if perturb:
            codes = perturbed(codes, perturb, self.codebook_sizes(), list(positions))
        images = self._decoded(codes)
        if self._write_to is not None and not perturb:
            _write(self._write_to, positions, images)
        return images, codes

    def some(self, positions: list[int]) -> UInt8[Tensor, "num 3 height width"]:
        """Return some of the samples, on the CPU."""
        codes = self._codes.some(positions, self.num_produced)[:, :, : self._num_tokens]
        return torch.cat([self._decoded(part).cpu() for part in codes.split(self.batch_size)])

    @torch.no_grad()
    def _decoded(self, codes: Int[Tensor, "batch codebooks tokens"]) -> UInt8[Tensor, "batch 3 height width"]:
        found = self._sampler.decode(codes, self.size, self._num_tokens)
        return checked_uint8(found, (len(codes), 3, *self.size), self._num_tokens, "generated images")


class RealImages(_Unpaired):
    """Validation images in the place of samples: what a generator without any fault would get.

    Args:
        validation: the images.
        indices: which of them.
        train: the training split.
        reference: which of it.
        size: height and width in pixels.
        batch_size: images that are taken at once.
        about: what decides all this.
    """

    def __init__(
        self,
        validation: ImageDataset,
        indices: Sequence[int],
        train: ImageDataset,
        reference: Sequence[int],
        size: Size,
        batch_size: int,
        about: dict[str, Any],
    ) -> None:
        super().__init__(train, reference, size, batch_size)
        self._validation, self._produced = validation, list(indices)
        self.about, self.num_produced = about, len(self._produced)

    def labels(self, positions: range) -> Int64[Tensor, " batch"]:
        """Return the images' own classes."""
        return torch.from_numpy(self._validation.labels[[self._produced[position] for position in positions]])

    def produced(
        self, positions: range, reference: UInt8[Tensor, "0 3 height width"], perturb: float, with_codes: bool
    ) -> tuple[UInt8[Tensor, "batch 3 height width"], None]:
        """Return validation images; there are no codes."""
        return self._validation.images([self._produced[position] for position in positions], self.size), None


def _write(folder: Path, positions: range, images: UInt8[Tensor, "batch 3 height width"]) -> None:
    for position, image in zip(positions, images.permute(0, 2, 3, 1).cpu().numpy(), strict=True):
        with replacing(folder / f"{position:06d}.png") as file:
            Image.fromarray(image).save(file, format="png")
