"""Multi-codebook vector quantisation (UniTok, Ma et al. 2025; VibeToken).

The latent is cut into equal chunks, each with a codebook of its own: nearest entry in Euclidean distance, computed in
fp32, straight-through gradient. Loss, averaged over the codebooks: `beta ||sg(e) - z||^2 + ||e - sg(z)||^2` (van den
Oord et al. 2017), beta = 0.25. No entropy loss, no EMA, and no l2 normalisation unless `normalised` asks for it: then
chunks and entries are taken at length 1 wherever they are used (Yu et al. 2021, ViT-VQGAN; LlamaGen).

Three options that the official code does not have, all off by default, for runs of minutes: codebooks that start from
a training batch's latents, entries that have not been used for `revive_after` steps moved onto latents of the batch at
hand, and first steps whose latents pass unquantised (`warmup_steps`), so that there is something to start from. The
batch is that of all processes: what is drawn from it, the first one draws for all.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn
from torch.nn import functional as F

from vtbench.distributed import collectives, is_main
from vtbench.models.nn.precision import full_precision
from vtbench.models.quantizers.base import Quantizer, WarmUp, usage
from vtbench.models.quantizers.output import QuantizerOutput

CodebookInit = Literal["uniform", "data"]


class Quantised(NamedTuple):
    """Codes, quantised chunks with their gradient, the loss, and the part of it that moves the codebooks, detached."""

    flat: Int[Tensor, "num_codebooks vectors"]
    z_q: Float[Tensor, "num_codebooks vectors dim"]
    loss: Float[Tensor, ""]
    codebook_loss: Float[Tensor, ""]


class MultiCodebookQuantizer(Quantizer, WarmUp):
    """`num_codebooks` codebooks of `codebook_size` entries of width `channels / num_codebooks`.

    Args:
        channels: width of the latents; `num_codebooks` must divide it. num_codebooks: number of chunks and codebooks.
        codebook_size: entries of each codebook. commitment: beta of the loss. init: `uniform` in +-1/codebook_size,
        or `data`: latents of the first batch that is quantised in training. revive_after: training steps without use
        after which an entry is moved; None never moves one. warmup_steps: training steps at first whose latents pass
        unquantised; their codes are the nearest ones all the same. normalised: chunks and entries are l2-normalised.

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
        normalised: bool = False,
    ) -> None:
        super().__init__()
        if channels % num_codebooks:
            raise ValueError(f"{num_codebooks} codebooks cannot share {channels} channels equally")
        self.num_codebooks = num_codebooks
        self.codebook_size = codebook_size
        self.codebook_sizes = (codebook_size,) * num_codebooks
        self.commitment = commitment
        self.revive_after = revive_after
        self.normalised = normalised
        self.codebooks = nn.Parameter(torch.empty(num_codebooks, codebook_size, channels // num_codebooks))
        nn.init.uniform_(self.codebooks, -1 / codebook_size, 1 / codebook_size)
        # State exists only where it is used, so that the default has exactly the official parameters.
        self.initialised: Tensor | None
        self.idle_steps: Tensor | None
        self.register_buffer("initialised", torch.zeros((), dtype=torch.bool) if init == "data" else None)
        counts = torch.zeros(num_codebooks, codebook_size, dtype=torch.int64)
        self.register_buffer("idle_steps", counts if revive_after is not None else None)
        self.start_warmup(warmup_steps)
        # What this step's forward passes have shown: chunks, and the entries that they were nearest to.
        self._seen: list[tuple[Tensor, Tensor]] = []
        self._preview: list[Tensor] | None = None

    def _chunks(self, latents: Float[Tensor, "batch tokens channels"]) -> Float[Tensor, "num_codebooks vectors dim"]:
        chunks = latents.float().unflatten(-1, (self.num_codebooks, -1))
        if self.normalised:
            chunks = F.normalize(chunks, dim=-1)
        return chunks.permute(2, 0, 1, 3).flatten(1, 2)

    def _joined(
        self, chunks: Float[Tensor, "num_codebooks vectors dim"], batch: int
    ) -> Float[Tensor, "batch tokens channels"]:
        return chunks.unflatten(1, (batch, -1)).permute(1, 2, 0, 3).flatten(2)

    def _all_entries(self) -> Float[Tensor, "num_codebooks size dim"]:
        codebooks = self.codebooks.float()
        return F.normalize(codebooks, dim=-1) if self.normalised else codebooks

    def _nearest(self, z: Float[Tensor, "num_codebooks vectors dim"]) -> Int[Tensor, "num_codebooks vectors"]:
        # |z|^2 is the same for all entries of a row and is left out.
        entries = self._all_entries()
        return (entries.pow(2).sum(-1)[:, None] - 2 * torch.bmm(z, entries.transpose(1, 2))).argmin(-1)

    def forward(self, latents: Float[Tensor, "batch tokens channels"]) -> QuantizerOutput:
        """Quantise latents; in training, also initialise entries where that is asked for, and note which are used."""
        if self.training and self._preview is not None:
            self._preview.append(self._chunks(latents.detach()))
            return self._pass(latents)
        if self.training and self.warming_up():
            return self._pass(latents)
        batch = latents.shape[0]
        with full_precision(latents):
            z = self._chunks(latents)
            if self.training:
                self._initialise(z.detach())
            found = self._quantise(z)
            z_q = self._joined(found.z_q, batch)
            if self.training and self.revive_after is not None:
                self._seen.append((z.detach(), found.flat))
        indices = found.flat.unflatten(1, (batch, -1)).transpose(0, 1)
        return QuantizerOutput(
            z_q=z_q.to(latents.dtype),
            indices=indices,
            loss=found.loss,
            stats={"codebook_usage": usage(indices, self.codebook_size), "codebook_loss": found.codebook_loss},
        )

    def _quantise(self, z: Float[Tensor, "num_codebooks vectors dim"]) -> Quantised:
        flat = self._nearest(z.detach())
        entries = self._entries(flat).float()
        codebook_loss = (entries - z.detach()).pow(2).mean()
        loss = codebook_loss + self.commitment * (entries.detach() - z).pow(2).mean()
        return Quantised(flat, z + (entries - z).detach(), loss, codebook_loss.detach())

    def wants_preview(self) -> bool:
        """Return whether the codebooks start from the batch of the next step."""
        return self.initialised is not None and not self.initialised.item() and not self.warming_up()

    def begin_preview(self) -> None:
        """Collect latents, which pass unquantised, from now on."""
        self._preview = []

    def end_preview(self) -> None:
        """Start the codebooks from the latents collected."""
        collected, self._preview = self._preview, None
        if collected:
            self._initialise(torch.cat(collected, dim=1))

    @torch.no_grad()
    def end_step(self) -> None:
        """Count the step, and move entries that have been idle for too long."""
        seen, self._seen = self._seen, []
        super().end_step()
        if seen:
            self._revive(*(torch.cat(parts, dim=1) for parts in zip(*seen, strict=True)))

    def _pass(self, latents: Float[Tensor, "batch tokens channels"]) -> QuantizerOutput:
        flat = self._nearest(self._chunks(latents.detach()))
        none = torch.zeros((), device=latents.device)
        return QuantizerOutput(
            z_q=self._joined(self._chunks(latents), len(latents)).to(latents.dtype) if self.normalised else latents,
            indices=flat.unflatten(1, (latents.shape[0], -1)).transpose(0, 1),
            loss=none,
            stats={"codebook_usage": none, "codebook_loss": none},
        )

    def lookup(self, indices: Int[Tensor, "batch num_codebooks tokens"]) -> Float[Tensor, "batch tokens channels"]:
        """Return the entries that codes stand for, chunks joined."""
        batch = indices.shape[0]
        return self._joined(self._entries(indices.transpose(0, 1).flatten(1)), batch)

    def _entries(self, flat: Int[Tensor, "num_codebooks vectors"]) -> Float[Tensor, "num_codebooks vectors dim"]:
        # As one embedding, whose gradient is summed in a fixed order; indexing's is not.
        offsets = torch.arange(self.num_codebooks, device=flat.device)[:, None] * self.codebook_size
        codebooks = self._all_entries() if self.normalised else self.codebooks
        return F.embedding(flat + offsets, codebooks.flatten(0, 1))

    @torch.no_grad()
    def _initialise(self, z: Float[Tensor, "num_codebooks vectors dim"]) -> None:
        if self.initialised is None or self.initialised.item():
            return
        self.codebooks.copy_(self._draw_for_all(z))
        self.initialised.fill_(True)

    def _revive(
        self, z: Float[Tensor, "num_codebooks vectors dim"], flat: Int[Tensor, "num_codebooks vectors"]
    ) -> None:
        assert self.idle_steps is not None
        assert self.revive_after is not None
        used = torch.zeros_like(self.idle_steps, dtype=torch.bool).scatter_(1, flat, True)
        self.idle_steps.add_(1).masked_fill_(collectives.any_of(used), 0)
        dead = self.idle_steps > self.revive_after
        if dead.any():
            self.codebooks.copy_(torch.where(dead[..., None], self._draw_for_all(z), self.codebooks))
            self.idle_steps.masked_fill_(dead, 0)

    def _draw_for_all(self, z: Float[Tensor, "num_codebooks vectors dim"]) -> Float[Tensor, "num_codebooks size dim"]:
        """Draw an entry for each place from the latents of all processes, the same in all of them."""
        latents = collectives.gather(z, dim=1)
        drawn = self._draw(latents, self.codebook_size) if is_main() else torch.empty_like(self.codebooks)
        return collectives.from_main(drawn)

    @staticmethod
    def _draw(z: Float[Tensor, "num_codebooks vectors dim"], num: int) -> Float[Tensor, "num_codebooks num dim"]:
        """Draw latents with replacement, each moved by a hundredth of the spread so that none coincide."""
        index = torch.randint(z.shape[1], (z.shape[0], num), device=z.device)
        drawn = torch.gather(z, 1, index[..., None].expand(-1, -1, z.shape[2]))
        return drawn + 0.01 * z.std(dim=1, keepdim=True) * torch.randn_like(drawn)
