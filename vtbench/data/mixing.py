"""Multi-resolution batches: which images a training step sees, and at which sizes.

VibeToken draws an input and a target size for each step (its released training code; the slides say each sample, which
`per: sample` does). A batch here is a pure function of the seed and the step: nothing is carried from step to step, so
a resumed run sees what an undisturbed one sees, with any number of loading workers, and the processes of a distributed
run together see what one process would.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from vtbench.data.dataset import ImageDataset, Size
from vtbench.data.order import StepOrder
from vtbench.errors import DataError
from vtbench.schema.base import parse_resolution
from vtbench.schema.run import MixingConfig
from vtbench.seeding import rng


@dataclass(frozen=True, kw_only=True)
class Batch:
    """One process's share of a step.

    Attributes:
        inputs: RGB in [0, 1].
        targets: the same views at the target's size, RGB in [0, 1].
        labels: class of each image.
        indices: index of each image in the data set.
        places: place of each image in the step's batch, of all processes together.
    """

    inputs: Float32[Tensor, "batch 3 in_height in_width"]
    targets: Float32[Tensor, "batch 3 out_height out_width"]
    labels: Int64[Tensor, " batch"]
    indices: Int64[Tensor, " batch"]
    places: Int64[Tensor, " batch"]

    @property
    def num_images(self) -> int:
        """How many images these are."""
        return len(self.indices)

    def to(self, device: torch.device) -> Batch:
        """Return the batch with its images on a device."""
        return replace(self, inputs=self.inputs.to(device), targets=self.targets.to(device))

    def split(self, num_parts: int) -> list[Batch]:
        """Return the batch in equal parts, in order; `num_parts` must divide it."""
        return self.pieces(self.num_images // num_parts)

    def pieces(self, num_images: int) -> list[Batch]:
        """Return the batch in pieces of `num_images` images, in order; the last may have fewer."""
        pieces = (getattr(self, field.name).split(num_images) for field in fields(self))
        names = [field.name for field in fields(self)]
        return [Batch(**dict(zip(names, part, strict=True))) for part in zip(*pieces, strict=True)]


@dataclass(frozen=True, kw_only=True)
class MixedBatch:
    """One process's share of a step whose images have sizes of their own.

    Attributes:
        groups: the images of one input and one target size each, ordered by these; processes may differ in how many.
    """

    groups: tuple[Batch, ...]

    def to(self, device: torch.device) -> MixedBatch:
        """Return the batch with its images on a device."""
        return MixedBatch(groups=tuple(group.to(device) for group in self.groups))

    def split(self, num_parts: int) -> list[Batch]:
        """Return parts of one size each, none larger than equal parts of the whole would be."""
        largest = sum(group.num_images for group in self.groups) // num_parts
        return [piece for group in self.groups for piece in group.pieces(largest)]


class Batches(Dataset[Batch | MixedBatch | DataError]):
    """The batches of a run, by step; `vtbench.data.order` says which images each has.

    Args:
        dataset: where images come from.
        mixing: the sizes and their weights.
        batch_size: images a step, of all processes together.
        seed: the run's seed.
        num_parts: into how many equal parts each process cuts its share.

    Raises:
        DataError: the batch cannot be divided among the processes and their parts.
    """

    def __init__(
        self, dataset: ImageDataset, mixing: MixingConfig, batch_size: int, seed: int, num_parts: int = 1
    ) -> None:
        self.order = StepOrder(len(dataset), batch_size, seed, num_parts)
        self.dataset = dataset
        self.mixing = mixing
        self.seed = seed

    def all_sizes(self) -> list[Size]:
        """Return every size that a step may have, sorted."""
        return sorted({parse_resolution(size) for size in (*self.mixing.inputs, *(self.mixing.targets or {}))})

    def sizes(self, step: int, place: int = 0) -> tuple[Size, Size]:
        """Return the input's and the target's (height, width) at a step, the same in all processes.

        Where each image has its own, they are those of the image at `place` in the batch.
        """
        draw = rng(self.seed, "sizes", step, *([place] if self.mixing.per == "sample" else []))
        input_size = _choose(draw, self.mixing.inputs)
        targets = self.mixing.targets
        return input_size, input_size if targets is None else _choose(draw, targets)

    def indices(self, step: int) -> list[int]:
        """Return the images of a step, of all processes together."""
        return self.order.indices(step)

    def batch(self, step: int) -> Batch | MixedBatch:
        """Return this process's share of a step."""
        places = self.order.places()
        if self.mixing.per == "batch":
            return self._alike(step, places, self.sizes(step))
        groups: dict[tuple[Size, Size], list[int]] = {}
        for place in places:
            groups.setdefault(self.sizes(step, place), []).append(place)
        return MixedBatch(groups=tuple(self._alike(step, groups[sizes], sizes) for sizes in sorted(groups)))

    def _alike(self, step: int, places: Sequence[int], sizes: tuple[Size, Size]) -> Batch:
        """Return the images at some places of a step at one input and one target size."""
        input_size, target_size = sizes
        indices = self.indices(step)
        pairs = [
            self.dataset.training_pair(
                [indices[place]],
                input_size,
                target_size,
                # one generator an image: its crop does not depend on how many processes share the batch
                rng(self.seed, "crop", step, place),
                self.mixing.horizontal_flip,
            )
            for place in places
        ]
        chosen = [indices[place] for place in places]
        inputs, targets = (torch.cat(images).float().div_(255) for images in zip(*pairs, strict=True))
        return Batch(
            inputs=inputs,
            targets=targets,
            labels=torch.from_numpy(self.dataset.labels[chosen]),
            indices=torch.tensor(chosen, dtype=torch.int64),
            places=torch.tensor(places, dtype=torch.int64),
        )

    def __getitem__(self, step: int) -> Batch | MixedBatch | DataError:
        """Return a batch, or the user's error as a value: a loading process would wrap it into a traceback."""
        try:
            return self.batch(step)
        except DataError as error:
            return error

    def iterate(self, first_step: int, end_step: int, num_workers: int = 0) -> Iterator[Batch | MixedBatch]:
        """Yield the batches of steps `first_step` up to, but without, `end_step`.

        Args:
            first_step: first step.
            end_step: one past the last step, as in `range`.
            num_workers: processes that prepare batches ahead; 0 makes each in this process when it is asked for. The
                batches are the same.
        """
        self.dataset.prepare(self.all_sizes())
        steps = range(first_step, end_step)
        if num_workers == 0:
            yield from map(self.batch, steps)
            return
        # With its own generator the loader does not draw from torch's global one, which the model may use.
        loader = DataLoader(self, batch_size=None, sampler=steps, num_workers=num_workers, generator=torch.Generator())
        for found in loader:
            if isinstance(found, DataError):
                raise found
            yield found


def _choose(draw: np.random.Generator, weights: Mapping[str, float]) -> Size:
    """Return one size of a table; the order of its rows has no influence, since a run's id does not know it."""
    names = sorted(weights)
    share = np.array([weights[name] for name in names])
    return parse_resolution(names[draw.choice(len(names), p=share / share.sum())])
