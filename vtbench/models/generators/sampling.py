"""From logits to codes: temperature, top-k, top-p, and draws that belong to an image.

Every image has a seed of its own, and all the uniform numbers that its draws will need are made from it on the host
before the first token. So image i is the same in any batch, on any number of ranks and devices, and nothing in the loop
waits for the host or keeps a device generator for each image. A draw inverts the distribution function, which needs one
number whatever the size of the codebook, and runs in float64.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from vtbench.models.generators.guidance import guide
from vtbench.seeding import rng


def image_noise(seeds: Sequence[int], num_draws: int, device: torch.device) -> Float[Tensor, "draws batch"]:
    """Return numbers uniform in [0, 1), float64; a longer column begins as a shorter one of the same seed."""
    columns = np.stack([rng(seed, "sampling").random(num_draws) for seed in seeds], axis=1)
    return torch.from_numpy(columns).to(device)


def filter_logits(
    logits: Float[Tensor, "batch entries"],
    temperature: float = 1.0,
    top_k: int | None = None,
    top_p: float | None = None,
) -> Float[Tensor, "batch entries"]:
    """Divide by the temperature, then set to -inf what may not be drawn.

    Args:
        logits: of one code.
        temperature: above 0.
        top_k: keep the k likeliest, and what ties with the last of them; None keeps all.
        top_p: of these keep the smallest set that holds more than this share, at least one; None keeps all.
    """
    logits = logits / temperature
    if top_k is not None and top_k < logits.shape[1]:
        least = logits.topk(top_k).values[:, -1:]
        logits = logits.masked_fill(logits < least, -torch.inf)
    if top_p is not None and top_p < 1:
        ordered, order = logits.sort(descending=True)
        reached = ordered.softmax(-1).cumsum(-1)
        dropped = torch.zeros_like(ordered, dtype=torch.bool)
        dropped[:, 1:] = reached[:, :-1] > top_p
        logits = logits.masked_fill(dropped.scatter(1, order, dropped), -torch.inf)
    return logits


def draw(logits: Float[Tensor, "batch entries"], noise: Float[Tensor, " batch"]) -> Int[Tensor, " batch"]:
    """Draw from `softmax(logits)` by uniform numbers in [0, 1); an entry of probability 0 is never drawn."""
    reached = logits.double().softmax(-1).cumsum(-1)
    target = noise[:, None] * reached[:, -1:]
    return torch.searchsorted(reached, target, right=True)[:, 0]


class Choice:
    """Chooses one code after another, each from its logits.

    Args:
        noise: a row for each draw; None takes the likeliest code.
        temperature, top_k, top_p: see `filter_logits`.

    Attributes:
        guided: whether the rows of the logits are [conditional, unconditional]; both then get the same code.
        scale: strength of guidance.

    Raises:
        ValueError: a temperature, top_k or top_p under which nothing could be drawn.
    """

    def __init__(
        self,
        noise: Float[Tensor, "draws batch"] | None,
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
    ) -> None:
        if temperature <= 0 or (top_k is not None and top_k < 1) or (top_p is not None and top_p <= 0):
            raise ValueError(
                f"temperature {temperature}, top_k {top_k} and top_p {top_p} must be above 0; use greedy for no chance"
            )
        self.guided = False
        self.scale = 1.0
        self._rows = None if noise is None else iter(noise.unbind(0))
        self._filters = (temperature, top_k, top_p)

    def __call__(self, logits: Float[Tensor, "rows entries"]) -> Int[Tensor, " rows"]:
        """Return a code for each row."""
        logits = logits.float()
        if self.guided:
            conditional, unconditional = logits.chunk(2)
            logits = guide(conditional, unconditional, self.scale)
        if self._rows is None:
            codes = logits.argmax(-1)
        else:
            codes = draw(filter_logits(logits, *self._filters), next(self._rows))
        return torch.cat([codes, codes]) if self.guided else codes
