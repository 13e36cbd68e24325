"""What the harness asks of a feature network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from vtbench.features import weights

FEATURE_BATCH = 16
"""Images a forward pass. It is fixed because float32 features drift with it; 16 is also the fastest on a CPU."""


class FeatureNetwork(ABC):
    """A frozen network that turns images of any size into one vector each.

    Made by `Network()`, which raises a `WeightsError` if a file is missing.

    Attributes:
        name: id, for example `inception`.
        dim: length of the vectors.
        preprocessing: how images of other sizes reach the network's own size, in words; part of the protocol.
    """

    name: ClassVar[str]
    dim: ClassVar[int]
    preprocessing: ClassVar[str]

    @classmethod
    @abstractmethod
    def weights_path(cls) -> Path:
        """Return the weights file; raise a `WeightsError` if it is missing."""

    @classmethod
    def weights_sha256(cls) -> str:
        """Return the SHA-256 of the weights file in hex."""
        return weights.sha256(cls.weights_path())

    @abstractmethod
    def to(self, device: torch.device) -> FeatureNetwork:
        """Move to `device` and return self."""

    @abstractmethod
    def features(self, images: UInt8[Tensor, "batch 3 height width"]) -> Float32[Tensor, "batch dim"]:
        """Return the features of images in [0, 255], without gradients, on the images' device."""


class FeatureStream:
    """Features of images that arrive in batches of any size, computed `FEATURE_BATCH` at a time.

    The cut into forward passes depends on the order of the images alone, so the features do not depend on how the
    caller batches them.

    Args:
        extract: uint8 images -> features, shape (batch, dim).
    """

    def __init__(self, extract: Callable[[Tensor], Tensor]) -> None:
        self._extract = extract
        self._waiting: list[Tensor] = []
        self._done: list[Tensor] = []

    def add(self, images: UInt8[Tensor, "batch 3 height width"]) -> None:
        """Add images in [0, 255], on any device, all of one size."""
        self._waiting.extend(images)
        while len(self._waiting) >= FEATURE_BATCH:
            self._pass()

    def finish(self) -> Float32[Tensor, "num_images dim"]:
        """Return the features of all images so far, in their order, on the CPU."""
        while self._waiting:
            self._pass()
        return torch.cat(self._done) if self._done else torch.empty(0, 0)

    def _pass(self) -> None:
        images, self._waiting = self._waiting[:FEATURE_BATCH], self._waiting[FEATURE_BATCH:]
        self._done.append(self._extract(torch.stack(images)).cpu())
