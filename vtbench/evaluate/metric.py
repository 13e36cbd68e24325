"""What the harness asks of a reconstruction metric."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import ClassVar

from jaxtyping import UInt8
from torch import Tensor


class Metric(ABC):
    """Accumulates pairs of reference and produced images and returns one number.

    A metric sees images alone, never a model. A new metric is one file in `evaluate/metrics/` and one row in its table.

    Attributes:
        name: id, for example `psnr`.
        title: how tables call it, for example `PSNR`.
        unit: `dB`, or empty.
        version: raised whenever the same images would give another value.
        higher_is_better: direction.
        min_samples: fewest images for which the value means something; below it a report warns.
        source: paper or library that defines it.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    unit: ClassVar[str] = ""
    version: ClassVar[int] = 1
    higher_is_better: ClassVar[bool]
    min_samples: ClassVar[int] = 1
    source: ClassVar[str]

    @classmethod  # noqa: B027  # most metrics need no file
    def check(cls) -> None:
        """Raise a `WeightsError` if a file that the metric needs is missing; called before anything runs."""

    @classmethod
    def protocol(cls) -> dict[str, str | int | float | bool]:
        """Return what else, beyond the suite's own fields, decides the value (feature network, weights' hash, ...)."""
        return {}

    def use_cache(self, reference_key: str, cache_dir: Path) -> None:  # noqa: B027  # most metrics keep nothing
        """Learn, before the first batch, under which key to keep what depends on the reference images alone.

        Args:
            reference_key: stands for the reference images and their order: same key, same images.
            cache_dir: a folder that all runs share; it need not exist.
        """

    @abstractmethod
    def update(
        self, reference: UInt8[Tensor, "batch 3 height width"], produced: UInt8[Tensor, "batch 3 height width"]
    ) -> None:
        """Add one batch of pairs."""

    @abstractmethod
    def compute(self) -> float:
        """Return the value over all pairs so far."""
