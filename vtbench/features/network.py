"""What the harness asks of a feature network."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import ClassVar

import torch
from jaxtyping import Float32, UInt8
from torch import Tensor

from vtbench.features import weights

FEATURE_BATCH = 16
"""Images a forward pass. It is fixed because float32 features drift with it; 16 is also the fastest on a CPU."""

FEATURE_PRECISION = "float32, no TF32"
"""Of the forward pass, also on a GPU, whose default convolutions keep 10 bits of the mantissa."""

Images = UInt8[Tensor, "batch 3 height width"] | Float32[Tensor, "batch 3 height width"]
"""Images in [0, 255]: 8-bit, or, under a protocol that does not round, float32."""

POOLED, LOGITS, SPATIAL = "pooled", "logits", "spatial"
"""Layers that networks share by name: the vector of an image, its classes, and a flattened map that keeps places."""


class FeatureNetwork(ABC):
    """A frozen network that turns images of any size into a few vectors each: its layers.

    Made by `Network()`, which raises a `WeightsError` if a file is missing.

    Attributes:
        name: id, for example `inception`.
        layers: name of a layer -> shape of an image's row; all have `pooled`.
        input_size: side in pixels of the network's own, square input.
        preprocessing: how images of other sizes reach the network's own size, in words; part of the protocol.
    """

    name: ClassVar[str]
    layers: ClassVar[Mapping[str, tuple[int, ...]]]
    input_size: ClassVar[int]
    preprocessing: ClassVar[str]

    @classmethod
    @abstractmethod
    def weights_path(cls) -> Path:
        """Return the weights file; raise a `WeightsError` if it is missing."""

    @classmethod
    def weights_sha256(cls) -> str:
        """Return the SHA-256 of the weights file in hex."""
        return weights.sha256(cls.weights_path())

    @classmethod
    def protocol(cls) -> dict[str, str | int]:
        """Return all that decides the features beside the images."""
        return {
            "network": cls.name,
            "weights_sha256": cls.weights_sha256(),
            "preprocessing": cls.preprocessing,
            "feature_batch": FEATURE_BATCH,
            "feature_precision": FEATURE_PRECISION,
        }

    @abstractmethod
    def to(self, device: torch.device) -> FeatureNetwork:
        """Move to `device` and return self."""

    @abstractmethod
    def forward_layers(self, images: Images, layers: Collection[str]) -> dict[str, Tensor]:
        """Return the named layers, shape (batch, *row), from one forward pass; called by `extract` alone."""

    @torch.no_grad()
    def extract(self, images: Images, layers: Collection[str] = (POOLED,)) -> dict[str, Float32[Tensor, "batch _dim"]]:
        """Return layers of images in [0, 255], without gradients, on the images' device, in one forward pass.

        Args:
            images: on the network's device, of any size.
            layers: names among `self.layers`.
        """
        flags = torch.backends.cudnn.flags(enabled=True, benchmark=False, deterministic=True, allow_tf32=False)
        with flags, torch.autocast(images.device.type, enabled=False):
            return {name: rows.float() for name, rows in self.forward_layers(images, layers).items()}

    def features(self, images: Images) -> Float32[Tensor, "batch dim"]:
        """Return the layer `pooled` of images in [0, 255]."""
        return self.extract(images, (POOLED,))[POOLED]


class FeatureStream:
    """Layers of images that arrive in batches of any size, computed `FEATURE_BATCH` at a time.

    The cut into forward passes depends on the order of the images alone, so the features do not depend on how the
    caller batches them.

    Args:
        extract: uint8 images -> layer -> rows, shape (batch, *row).
    """

    def __init__(self, extract: Callable[[Tensor], Mapping[str, Tensor]]) -> None:
        self._extract = extract
        self._waiting: list[Tensor] = []
        self._done: list[Mapping[str, Tensor]] = []

    def add(self, images: Images) -> None:
        """Add images in [0, 255], on any device, all of one size."""
        self._waiting.extend(images)
        while len(self._waiting) >= FEATURE_BATCH:
            self._pass()

    def finish(self) -> dict[str, Float32[Tensor, "num_images _dim"]]:
        """Return the layers of all images so far, in their order, on the CPU; empty if there were none."""
        while self._waiting:
            self._pass()
        return {
            layer: torch.cat([part[layer] for part in self._done]) for layer in (self._done[0] if self._done else ())
        }

    def _pass(self) -> None:
        images, self._waiting = self._waiting[:FEATURE_BATCH], self._waiting[FEATURE_BATCH:]
        self._done.append({layer: rows.cpu() for layer, rows in self._extract(torch.stack(images)).items()})
