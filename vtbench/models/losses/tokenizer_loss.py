"""The loss of a tokenizer: MSE, perceptual distances, the quantizer's loss, and from some step on an adversarial one.

VibeToken's recipe (official code, commit 28b695b) in one stage: the adversarial weight is fixed, not adapted to
gradients.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from vtbench.models.losses import PERCEPTUAL
from vtbench.models.losses.discriminator import PatchDiscriminator
from vtbench.models.losses.gan import LeCam, hinge_discriminator, hinge_generator
from vtbench.models.losses.perceptual import PerceptualLoss
from vtbench.schema.run import LossConfig

if TYPE_CHECKING:
    from vtbench.models.tokenizers.base import TokenizerOutput

Scalars = dict[str, Tensor]
"""Detached scalars worth logging, by name."""


class TokenizerLoss(nn.Module):
    """Both sides of the training loss, with the discriminator and its regulariser as only state.

    The perceptual networks are frozen and come from files: they follow `to` but are in neither `state_dict` nor
    `parameters`, so checkpoints stay small.

    Args:
        config: weights of the terms.

    Raises:
        RegistryError: no perceptual loss has that name.
        WeightsError: a perceptual network's file is missing.
    """

    def __init__(self, config: LossConfig) -> None:
        super().__init__()
        self.config = config
        # A plain tuple: a module in an attribute of its own would enter state_dict.
        self._perceptual: tuple[PerceptualLoss, ...] = tuple(PERCEPTUAL.load(row.name)() for row in config.perceptual)
        self.patch_discriminator: PatchDiscriminator | None = None
        self.lecam: LeCam | None = None
        if config.gan is not None:
            self.patch_discriminator = PatchDiscriminator(config.gan.base_channels, config.gan.num_layers)
            self.lecam = LeCam(config.gan.lecam_decay)

    @classmethod
    def check(cls, config: LossConfig) -> None:
        """Raise a `RegistryError` or `WeightsError` if a perceptual loss of `config` cannot be made; loads nothing."""
        for row in config.perceptual:
            PERCEPTUAL.load(row.name).check()

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> TokenizerLoss:
        for network in self._perceptual:
            network._apply(fn, recurse)
        super()._apply(fn, recurse)
        return self

    def gan_active(self, step: int) -> bool:
        """Return whether the discriminator takes part in this step, counted from 0."""
        return self.config.gan is not None and step >= self.config.gan.start_step

    def generator(
        self, output: TokenizerOutput, targets: Float[Tensor, "batch 3 height width"], step: int
    ) -> tuple[Float[Tensor, ""], Scalars]:
        """Return the tokenizer's loss and its unweighted terms.

        Gradients do not reach the discriminator's parameters.

        Args:
            output: of the tokenizer.
            targets: images in [0, 1] of the reconstruction's size.
            step: training step, counted from 0.

        Returns:
            The weighted sum, and `mse`, `perceptual_NAME` for each, `quantizer`, `gan_generator` while active, and
            their weighted sum `loss`, all detached.
        """
        reconstruction = output.reconstruction.float()
        mse = F.mse_loss(reconstruction, targets)
        total = self.config.mse * mse + self.config.quantizer * output.quantizer.loss
        scalars = {"mse": mse, "quantizer": output.quantizer.loss}
        for row, distance in zip(self.config.perceptual, self._perceptual, strict=True):
            term = distance(reconstruction, targets)
            total = total + row.weight * term
            scalars[f"perceptual_{row.name}"] = term
        if self.config.gan is not None and self.patch_discriminator is not None and self.gan_active(step):
            with _frozen(self.patch_discriminator):
                term = hinge_generator(self.patch_discriminator(reconstruction))
            total = total + self.config.gan.weight * term
            scalars["gan_generator"] = term
        return total, {name: value.detach() for name, value in {"loss": total, **scalars}.items()}

    def discriminator(
        self,
        targets: Float[Tensor, "batch 3 height width"],
        reconstruction: Float[Tensor, "batch 3 height width"],
        step: int,
    ) -> tuple[Float[Tensor, ""], Scalars]:
        """Return the discriminator's loss and its terms; call it only while `gan_active(step)`.

        In training mode LeCam's averages move. Gradients do not reach the reconstruction.

        Args:
            targets: images in [0, 1].
            reconstruction: of the same size; detached here.
            step: training step, counted from 0.

        Returns:
            The weighted sum, and `gan_discriminator` (hinge), `gan_lecam`, and the mean outputs `gan_real` and
            `gan_fake`, all detached.
        """
        gan = self.config.gan
        assert gan is not None
        assert self.patch_discriminator is not None
        assert self.lecam is not None
        assert self.gan_active(step), f"the discriminator begins at step {gan.start_step}, this is step {step}"
        real = self.patch_discriminator(targets)
        fake = self.patch_discriminator(reconstruction.detach().float())
        hinge = hinge_discriminator(real, fake)
        lecam = self.lecam(real, fake)
        if self.training:
            self.lecam.update(real, fake)
        total = gan.discriminator_factor * hinge + gan.lecam_weight * lecam
        scalars = {"gan_discriminator": hinge, "gan_lecam": lecam, "gan_real": real.mean(), "gan_fake": fake.mean()}
        return total, {name: value.detach() for name, value in scalars.items()}


@contextmanager
def _frozen(module: nn.Module) -> Iterator[None]:
    """Keep gradients from a module's parameters, not from its inputs."""
    needed: list[tuple[Any, bool]] = [(parameter, parameter.requires_grad) for parameter in module.parameters()]
    module.requires_grad_(False)
    try:
        yield
    finally:
        for parameter, flag in needed:
            parameter.requires_grad_(flag)
