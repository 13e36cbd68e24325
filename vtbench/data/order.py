"""Which images a training step sees: a pure function of the seed and the step.

Each epoch is one permutation of the images, cut into batches without a gap: the batch in which an epoch ends goes on
with the next.
"""

from __future__ import annotations

import numpy as np

from vtbench import distributed
from vtbench.errors import DataError
from vtbench.seeding import rng


class StepOrder:
    """The images of each step, and which of them are this process's.

    Args:
        num_images: images of the data set.
        batch_size: images a step, of all processes together.
        seed: the run's seed.
        num_parts: into how many equal parts each process cuts its share.
        section: of the config, for messages.

    Raises:
        DataError: the batch cannot be divided among the processes and their parts.
    """

    def __init__(self, num_images: int, batch_size: int, seed: int, num_parts: int = 1, section: str = "train") -> None:
        world = distributed.world_size()
        if batch_size % (world * num_parts):
            parts = f" in {num_parts} parts each ({section}.grad_accumulation)" if num_parts > 1 else ""
            raise DataError(
                f"{section}.batch_size is {batch_size}, which {world} processes cannot share evenly{parts}."
                f" It counts the images of all processes: choose a multiple of {world * num_parts}."
            )
        self.num_images, self.batch_size, self.seed = num_images, batch_size, seed
        self._epoch: tuple[int, np.ndarray] = (-1, np.empty(0, dtype=np.int64))

    def indices(self, step: int) -> list[int]:
        """Return the images of a step, of all processes together."""
        first = step * self.batch_size
        positions = (divmod(place, self.num_images) for place in range(first, first + self.batch_size))
        return [int(self._order(epoch)[place]) for epoch, place in positions]

    def places(self) -> range:
        """Return the places in a step's batch that are this process's share."""
        share = self.batch_size // distributed.world_size()
        return range(distributed.rank() * share, (distributed.rank() + 1) * share)

    def _order(self, epoch: int) -> np.ndarray:
        if self._epoch[0] != epoch:
            self._epoch = (epoch, rng(self.seed, "order", epoch).permutation(self.num_images))
        return self._epoch[1]
