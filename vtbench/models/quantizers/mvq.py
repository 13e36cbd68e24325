"""Multi-codebook vector quantisation (UniTok, Ma et al. 2025; VibeToken).

The latent is cut into equal chunks, each with a codebook of its own: nearest entry in Euclidean distance, computed in
fp32, straight-through gradient. Loss, averaged over the codebooks: `beta ||sg(e) - z||^2 + ||e - sg(z)||^2` (van den
Oord et al. 2017), beta = 0.25. No entropy loss, no l2 normalisation, no EMA.

Three options that the official code does not have, all off by default, for runs of minutes: codebooks that start from
a training batch's latents, entries that have not been used for `revive_after` steps moved onto latents of the batch at
hand, and first steps whose latents pass unquantised (`warmup_steps`), so that there is something to start from.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from vtbench.models.nn.precision import full_precision
from vtbench.models.quantizers.output import QuantizerOutput

CodebookInit = Literal["uniform", "data"]


class MultiCodebookQuantizer(nn.Module):
    """`num_codebooks` codebooks of `codebook_size` entries of width `channels / num_codebooks`.

    Args:
        channels: width of the latents; `num_codebooks` must divide it. num_codebooks: number of chunks and codebooks.
        codebook_size: entries of each codebook. commitment: beta of the loss. init: `uniform` in +-1/codebook_size,
        or `data`: latents of the first batch that is quantised in training. revive_after: training steps without use
        after which an entry is moved; None never moves one. warmup_steps: training steps at first whose latents pass
        unquantised; their codes are the nearest ones all the same.

    Raises:
        ValueError: `num_codebooks` does not divide `channels`.
    """

    def __init__(
        self,
        channels: int,
        num_codebooks: int,
        codebook_size: int,
        commitment: float = 0.25,
        init: CodebookInit = "uniform",
        revive_after: int | None = None,
        warmup_steps: int = 0,
    ) -> None:
        super().__init__()
        if channels % num_codebooks:
            raise ValueError(f"{num_codebooks} codebooks cannot share {channels} channels equally")
        self.num_codebooks = num_codebooks
        self.codebook_size = codebook_size
        self.commitment = commitment
        self.revive_after = revive_after
        self.warmup_steps = warmup_steps
        self.codebooks = nn.Parameter(torch.empty(num_codebooks, codebook_size, channels // num_codebooks))
        nn.init.uniform_(self.codebooks, -1 / codebook_size, 1 / codebook_size)
        # State exists only where it is used, so that the default has exactly the official parameters.
        self.initialised: Tensor | None
        self.idle_steps: Tensor | None
        self.steps_seen: Tensor | None
        self.register_buffer("initialised", torch.zeros((), dtype=torch.bool) if init == "data" else None)
        counts = torch.zeros(num_codebooks, codebook_size, dtype=torch.int64)
        self.register_buffer("idle_steps", counts if revive_after is not None else None)
        self.register_buffer("steps_seen", torch.zeros((), dtype=torch.int64) if warmup_steps else None)

    def _chunks(self, latents: Float[Tensor, "batch tokens channels"]) -> Float[Tensor, "num_codebooks vectors dim"]:
        return latents.float().unflatten(-1, (self.num_codebooks, -1)).permute(2, 0, 1, 3).flatten(1, 2)

    def _nearest(self, z: Float[Tensor, "num_codebooks vectors dim"]) -> Int[Tensor, "num_codebooks vectors"]:
        # |z|^2 is the same for all entries of a row and is left out.
        squared = self.codebooks.float().pow(2).sum(-1)[:, None]
        return (squared - 2 * torch.bmm(z, self.codebooks.float().transpose(1, 2))).argmin(-1)

    def forward(self, latents: Float[Tensor, "batch tokens channels"]) -> QuantizerOutput:
        """Quantise latents; in training, also initialise and revive entries where that is asked for."""
        if self._warming_up():
            return self._pass(latents)
        batch = latents.shape[0]
        with full_precision(latents):
            z = self._chunks(latents)
            if self.training:
                self._initialise(z.detach())
            flat = self._nearest(z.detach())
            entries = self._entries(flat).float()
            codebook_loss = (entries - z.detach()).pow(2).mean()
            loss = codebook_loss + self.commitment * (entries.detach() - z).pow(2).mean()
            z_q = (z + (entries - z).detach()).unflatten(1, (batch, -1)).permute(1, 2, 0, 3).flatten(2)
            if self.training:
                self._revive(z.detach(), flat)
        indices = flat.unflatten(1, (batch, -1)).transpose(0, 1)
        return QuantizerOutput(
            z_q=z_q.to(latents.dtype),
            indices=indices,
            loss=loss,
            stats={"codebook_usage": self._usage(flat), "codebook_loss": codebook_loss.detach()},
        )

    def _warming_up(self) -> bool:
        """Return whether this training step passes latents unquantised, and count it."""
        if not self.training or self.steps_seen is None:
            return False
        self.steps_seen.add_(1)
        return int(self.steps_seen) <= self.warmup_steps

    def _pass(self, latents: Float[Tensor, "batch tokens channels"]) -> QuantizerOutput:
        flat = self._nearest(self._chunks(latents.detach()))
        none = torch.zeros((), device=latents.device)
        return QuantizerOutput(
            z_q=latents,
            indices=flat.unflatten(1, (latents.shape[0], -1)).transpose(0, 1),
            loss=none,
            stats={"codebook_usage": none, "codebook_loss": none},
        )

    def _usage(self, flat: Int[Tensor, "num_codebooks vectors"]) -> Float[Tensor, ""]:
        """Return the share of all entries that this batch uses, in [0, 1]."""
        used = torch.zeros(self.codebooks.shape[:2], device=flat.device)
        return used.scatter_(1, flat, 1.0).mean()

    def lookup(self, indices: Int[Tensor, "batch num_codebooks tokens"]) -> Float[Tensor, "batch tokens channels"]:
        """Return the entries that codes stand for, chunks joined."""
        batch = indices.shape[0]
        entries = self._entries(indices.transpose(0, 1).flatten(1))
        return entries.unflatten(1, (batch, -1)).permute(1, 2, 0, 3).flatten(2)

    def _entries(self, flat: Int[Tensor, "num_codebooks vectors"]) -> Float[Tensor, "num_codebooks vectors dim"]:
        # As one embedding, whose gradient is summed in a fixed order; indexing's is not.
        offsets = torch.arange(self.num_codebooks, device=flat.device)[:, None] * self.codebook_size
        return F.embedding(flat + offsets, self.codebooks.flatten(0, 1))

    @torch.no_grad()
    def _initialise(self, z: Float[Tensor, "num_codebooks vectors dim"]) -> None:
        if self.initialised is None or self.initialised.item():
            return
        self.codebooks.copy_(self._draw(z, self.codebook_size))
        self.initialised.fill_(True)

    @torch.no_grad()
    def _revive(
        self, z: Float[Tensor, "num_codebooks vectors dim"], flat: Int[Tensor, "num_codebooks vectors"]
    ) -> None:
        if self.idle_steps is None or self.revive_after is None:
            return
        self.idle_steps.add_(1).scatter_(1, flat, 0)
        dead = self.idle_steps > self.revive_after
        if dead.any():
            fresh = self._draw(z, self.codebook_size)
            self.codebooks.copy_(torch.where(dead[..., None], fresh, self.codebooks))
            self.idle_steps.masked_fill_(dead, 0)

    @staticmethod
    def _draw(z: Float[Tensor, "num_codebooks vectors dim"], num: int) -> Float[Tensor, "num_codebooks num dim"]:
        """Draw latents with replacement, each moved by a hundredth of the spread so that none coincide."""
        index = torch.randint(z.shape[1], (z.shape[0], num), device=z.device)
        drawn = torch.gather(z, 1, index[..., None].expand(-1, -1, z.shape[2]))
        return drawn + 0.01 * z.std(dim=1, keepdim=True) * torch.randn_like(drawn)
