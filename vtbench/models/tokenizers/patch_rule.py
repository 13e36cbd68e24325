"""Which patch size an adaptive tokenizer takes for an image.

A size is eligible if it tiles the image. In training one is drawn uniformly from the eligible sizes whose number of
patches lies in [min_patches, max_patches]; at inference it is the smallest of them. If no number lies in that range,
the size whose number is nearest to either end is taken, the smaller one of two equally near. For VibeToken's sizes
this is the official rule of both the decoder and the inference wrapper (8 up to 256^2, 16 up to 512^2, else 32). The
official training rule of the encoder differs and is kept in `official_encoder_patch`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from vtbench.errors import ResolutionError


@dataclass(frozen=True, kw_only=True)
class PatchRule:
    """Sizes to choose from (pixels, ascending) and the range of patch counts that is aimed at.

    `floor=True` takes any size that gives at least one patch, leaving out what remains at the right and bottom, as the
    official code does. `inference_share` is the share of training steps that take the size of inference, the others
    being drawn from the rest; None draws from all alike, as the official code does.
    """

    sizes: Sequence[int]
    min_patches: int
    max_patches: int
    floor: bool = False
    inference_share: float | None = None

    def _candidates(self, height: int, width: int) -> list[int]:
        tiling = [k for k in self.sizes if height % k == 0 and width % k == 0]
        fitting = [k for k in self.sizes if height >= k and width >= k]
        eligible = fitting if self.floor else tiling
        if not eligible:
            raise ResolutionError(
                f"no patch size of {list(self.sizes)} tiles {height}x{width};"
                f" the nearest size that one does is {nearest_tiling((height, width), min(self.sizes))}"
            )
        counts = {k: (height // k) * (width // k) for k in eligible}
        inside = [k for k in eligible if self.min_patches <= counts[k] <= self.max_patches]
        if inside:
            return inside
        distance = {k: min(abs(n - self.min_patches), abs(n - self.max_patches)) for k, n in counts.items()}
        return [min(eligible, key=lambda k: (distance[k], k))]

    def choose(self, height: int, width: int) -> int:
        """Return the size for inference.

        Raises:
            ResolutionError: no size tiles the image.
        """
        return self._candidates(height, width)[0]

    def draw(self, rng: np.random.Generator, height: int, width: int) -> int:
        """Return a size for one training step."""
        candidates = self._candidates(height, width)
        if self.inference_share is None or len(candidates) == 1:
            return int(rng.choice(candidates))
        first = rng.random() < self.inference_share
        return candidates[0] if first else int(rng.choice(candidates[1:]))


def official_encoder_patch(rng: np.random.Generator, height: int, width: int, kernel_size: int) -> int:
    """Return the official encoder's training patch: `min(int(min(H, W) / 512 * base), kernel)`, base 16 or 32."""
    base = int(rng.choice([kernel_size // 2, kernel_size]))
    return max(1, min(int(min(height, width) / 512 * base), kernel_size))


def nearest_tiling(size: tuple[int, int], patch: int) -> str:
    """Return the nearest `HxW` that square patches of `patch` pixels tile."""
    height, width = (max(patch, round(length / patch) * patch) for length in size)
    return f"{height}x{width}"
