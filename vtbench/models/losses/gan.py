"""Adversarial losses: hinge (Lim and Ye 2017) and LeCam regularisation (Tseng et al. 2021, arXiv:2104.03310)."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from vtbench.distributed import collectives
from vtbench.models.nn.step_state import StepState


def hinge_discriminator(real: Float[Tensor, "*real"], fake: Float[Tensor, "*fake"]) -> Float[Tensor, ""]:
    """Return `mean max(0, 1 - real) + mean max(0, 1 + fake)`; VibeToken multiplies it by 0.5."""
    return F.relu(1 - real.float()).mean() + F.relu(1 + fake.float()).mean()


def hinge_generator(fake: Float[Tensor, "*batch"]) -> Float[Tensor, ""]:
    """Return `-mean fake`."""
    return -fake.float().mean()


class LeCam(nn.Module, StepState):
    """Keeps the discriminator's outputs near their own moving averages, crosswise, rectified as in the authors' code.

    The regulariser is taken of each output; TiTok's code, from which VibeToken's descends, uses the batch's mean.
    The averages start at 0. They are buffers, so that a resumed run goes on with them.

    Args:
        decay: of the averages.
    """

    real: Tensor
    fake: Tensor

    def __init__(self, decay: float = 0.999) -> None:
        super().__init__()
        self.decay = decay
        self.register_buffer("real", torch.zeros(()))
        self.register_buffer("fake", torch.zeros(()))
        self._seen: list[tuple[Tensor, Tensor, int]] = []

    def forward(self, real: Float[Tensor, "*real"], fake: Float[Tensor, "*fake"]) -> Float[Tensor, ""]:
        """Return the regulariser against the averages so far."""
        return F.relu(real.float() - self.fake).square().mean() + F.relu(self.real - fake.float()).square().mean()

    @torch.no_grad()
    def update(self, real: Float[Tensor, "*real"], fake: Float[Tensor, "*fake"]) -> None:
        """Note this part of the batch; the averages move at the end of the step."""
        self._seen.append((real.float().mean(), fake.float().mean(), len(real)))

    @torch.no_grad()
    def end_step(self) -> None:
        """Move the averages towards the batch's means."""
        seen, self._seen = self._seen, []
        if seen:
            num_images = sum(num for *_, num in seen)
            real = torch.stack([mean * (num / num_images) for mean, _, num in seen]).sum()
            fake = torch.stack([mean * (num / num_images) for _, mean, num in seen]).sum()
            means = collectives.mean_scalars({"real": real, "fake": fake})
            self.real.lerp_(means["real"], 1 - self.decay)
            self.fake.lerp_(means["fake"], 1 - self.decay)
