"""Multi-resolution batches: which images a training step sees, and at which sizes.

VibeToken draws an input and a target size for each step (its released training code; the slides say each sample). A
batch here is a pure function of the seed and the step: nothing is carried from step to step, so a resumed run sees
what an undisturbed one sees, with any number of loading workers, and the processes of a distributed run together see
what one process would.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, fields, replace

import numpy as np
import torch
from jaxtyping import Float32, Int64
from torch import Tensor
from torch.utils.data import DataLoader, Dataset

from vtbench import distributed
from vtbench.data.dataset import ImageDataset, Size
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
    """

    inputs: Float32[Tensor, "batch 3 in_height in_width"]
    targets: Float32[Tensor, "batch 3 out_height out_width"]
    labels: Int64[Tensor, " batch"]
    indices: Int64[Tensor, " batch"]

    def to(self, device: torch.device) -> Batch:
        """Return the batch with its images on a device."""
        return replace(self, inputs=self.inputs.to(device), targets=self.targets.to(device))

    def split(self, num_parts: int) -> list[Batch]:
        """Return the batch in equal parts, in order; `num_parts` must divide it."""
        pieces = (getattr(self, field.name).chunk(num_parts) for field in fields(self))
        names = [field.name for field in fields(self)]
        return [Batch(**dict(zip(names, part, strict=True))) for part in zip(*pieces, strict=True)]


class Batches(Dataset[Batch | DataError]):
    """The batches of a run, by step.

    Each epoch is one permutation of the images, cut into batches without a gap: the batch in which an epoch ends goes
    on with the next.

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
        world = distributed.world_size()
        if batch_size % (world * num_parts):
            parts = f" in {num_parts} parts each (train.grad_accumulation)" if num_parts > 1 else ""
            raise DataError(
                f"train.batch_size is {batch_size}, which {world} processes cannot share evenly{parts}."
                f" It counts the images of all processes: choose a multiple of {world * num_parts}."
            )
        self.dataset = dataset
        self.mixing = mixing
        self.batch_size = batch_size
        self.seed = seed
        self._epoch: tuple[int, np.ndarray] = (-1, np.empty(0, dtype=np.int64))

    def all_sizes(self) -> list[Size]:
        """Return every size that a step may have, sorted."""
        return sorted({parse_resolution(size) for size in (*self.mixing.inputs, *(self.mixing.targets or {}))})

    def sizes(self, step: int) -> tuple[Size, Size]:
        """Return the input's and the target's (height, width) at a step, the same in all processes."""
        draw = rng(self.seed, "sizes", step)
        input_size = _choose(draw, self.mixing.inputs)
        targets = self.mixing.targets
        return input_size, input_size if targets is None else _choose(draw, targets)

    def indices(self, step: int) -> list[int]:
        """Return the images of a step, of all processes together."""
        first = step * self.batch_size
        positions = (divmod(place, len(self.dataset)) for place in range(first, first + self.batch_size))
        return [int(self._order(epoch)[place]) for epoch, place in positions]

    def batch(self, step: int) -> Batch:
        """Return this process's share of a step."""
        input_size, target_size = self.sizes(step)
        indices = self.indices(step)
        share = len(indices) // distributed.world_size()
        first = distributed.rank() * share
        pairs = [
            self.dataset.training_pair(
                [indices[place]],
                input_size,
                target_size,
                # one generator an image: its crop does not depend on how many processes share the batch
                rng(self.seed, "crop", step, place),
                self.mixing.horizontal_flip,
            )
            for place in range(first, first + share)
        ]
        chosen = indices[first : first + share]
        inputs, targets = (torch.cat(images).float().div_(255) for images in zip(*pairs, strict=True))
        return Batch(
            inputs=inputs,
            targets=targets,
            labels=torch.from_numpy(self.dataset.labels[chosen]),
            indices=torch.tensor(chosen, dtype=torch.int64),
        )

    def __getitem__(self, step: int) -> Batch | DataError:
        """Return a batch, or the user's error as a value: a loading process would wrap it into a traceback."""
        try:
            return self.batch(step)
        except DataError as error:
            return error

    def iterate(self, first_step: int, end_step: int, num_workers: int = 0) -> Iterator[Batch]:
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

    def _order(self, epoch: int) -> np.ndarray:
        if self._epoch[0] != epoch:
            self._epoch = (epoch, rng(self.seed, "order", epoch).permutation(len(self.dataset)))
        return self._epoch[1]


def _choose(draw: np.random.Generator, weights: Mapping[str, float]) -> Size:
    """Return one size of a table; the order of its rows has no influence, since a run's id does not know it."""
    names = sorted(weights)
    share = np.array([weights[name] for name in names])
    return parse_resolution(names[draw.choice(len(names), p=share / share.sum())])
