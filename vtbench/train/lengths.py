"""How many latents a training step works with: one number for all its images, or one for each.

VibeToken draws one uniformly for each step (slides); One-D-Piece too, for the cut of its tail; FlexTok draws one for
each image, uniformly, from the powers of two, or uniformly and then up to the next power of two.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Int64

from vtbench.schema.run import NumTokensRange
from vtbench.seeding import rng


def draw_length(wanted: NumTokensRange, seed: int, step: int) -> int:
    """Return the length of all images of a step: a function of the run's seed and the step alone."""
    return int(_drawn(wanted, rng(seed, "num_tokens", step), None))


def draw_lengths(wanted: NumTokensRange, seed: int, step: int, num_images: int) -> Int64[np.ndarray, " images"]:
    """Return the length of each image of a step, by its place in the batch of all processes together."""
    return np.asarray(_drawn(wanted, rng(seed, "num_tokens", step), num_images))


def _drawn(wanted: NumTokensRange, draw: np.random.Generator, size: int | None) -> np.ndarray | np.int64:
    if wanted.draw == "pow2":
        return draw.choice(np.array(sorted(wanted.probabilities())), size)
    uniform = draw.integers(wanted.min, wanted.max + 1, size)
    if wanted.draw == "uniform":
        return uniform
    allowed = np.array(sorted(wanted.probabilities()))
    return allowed[np.searchsorted(allowed, uniform)]
