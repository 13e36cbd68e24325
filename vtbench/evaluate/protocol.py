"""How a number was measured. Two numbers may be compared only if their protocols are the same."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field

import torch
from jaxtyping import Float, UInt8
from torch import Tensor

from vtbench.data.dataset import Split
from vtbench.schema.record import protocol_fingerprint


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """All that decides a value beside the model, the metric's own version and the point.

    Attributes:
        content_key: which images (`ImageDataset.content_key`).
        split: which split of them.
        num_samples: how many were measured.
        batch_size: images a forward pass of the model: its float32 outputs drift with it.
        precision: of the model's forward pass.
        selection: which images of the split.
        crop: how an image comes to the resolution's aspect ratio.
        resize: how it comes to the resolution.
        rounding: how reconstructions become uint8.
        metric: what the metric adds, for example its feature network and the hash of its weights (`Metric.protocol`).
    """

    content_key: str
    num_samples: int
    batch_size: int
    precision: str
    split: Split = "val"
    selection: str = "first of permutation 0"
    crop: str = "centre"
    resize: str = "from the source, antialiased"
    rounding: str = "clamp to [0, 1], round(255 x)"
    metric: dict[str, str | int | float | bool] = field(default_factory=dict)

    def fingerprint(self) -> str:
        """Return 12 hex digits; equal protocols have equal ones."""
        return protocol_fingerprint(asdict(self))

    def reference_key(self, resolution: str) -> str:
        """Return what stands for the reference images at `resolution`, in their order, whatever the model."""
        fields = asdict(self)
        for other in ("batch_size", "precision", "rounding", "metric"):
            del fields[other]
        return protocol_fingerprint({"resolution": resolution, **fields})


def to_uint8(images: Float[Tensor, "batch 3 height width"]) -> UInt8[Tensor, "batch 3 height width"]:
    """Return images in [0, 1] as uint8: clamped, then rounded to the nearest of 255 steps (half to even)."""
    return (images.clamp(0, 1) * 255).round().to(torch.uint8)
