"""VibeToken's decoder: mask tokens on a lattice read the latents and become pixels.

Sequence [class, mask tokens, latents]. Two heads:

- fixed: each token becomes its own patch of `patch_size` pixels, so the lattice decides the size of the image;
- adaptive (slides, "Decoding to any output shape"): each token becomes `kernel_size` x `kernel_size` pixels whatever
  the patch, and a learned resizable blur takes that canvas to the size that was asked for; a plain resize, without
  anything learned, is there to be compared with it.

A 3 x 3 convolution ends both. No sigmoid: the caller clamps.
"""

from __future__ import annotations

from functools import partial

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from vtbench.models.nn.plain_resize import PlainResize
from vtbench.models.nn.positions import Positions, PositionsConfig
from vtbench.models.nn.resizable_blur import ResizableBlur
from vtbench.models.nn.transformer import Transformer, TransformerConfig, WeightInit, embedding, init_linear


class MaskTokenDecoder(nn.Module):
    """A ViT over mask tokens and latents.

    Args:
        config: the transformer's size.
        positions: positions of the mask tokens.
        num_latent_tokens: most latents that can come in.
        latent_width: channels of a latent.
        pixels: side of the square of pixels that a token becomes.
        blur: takes the canvas to the size asked for; None where the canvas is the image.
        weight_init: scheme for linear layers and convolutions.
        fill_up: whether a learned token stands for each latent that does not come in, so that the transformer always
            sees `num_latent_tokens` of them.
    """

    def __init__(
        self,
        config: TransformerConfig,
        positions: PositionsConfig,
        num_latent_tokens: int,
        latent_width: int,
        pixels: int,
        blur: ResizableBlur | PlainResize | None,
        weight_init: WeightInit = "trunc_normal",
        fill_up: bool = False,
    ) -> None:
        super().__init__()
        width, std = config.width, positions.init_std
        self.pixels = pixels
        self.embed = nn.Linear(latent_width, width)
        self.latent_pos = embedding(num_latent_tokens, width, std=std)
        self.class_token = embedding(1, width, std=std)
        self.class_pos = embedding(1, width, std=std)
        self.mask_token = embedding(1, width, std=std)
        self.positions = Positions(positions, config)
        self.ln_pre = nn.LayerNorm(width)
        self.transformer = Transformer(config)
        self.ln_post = nn.LayerNorm(width)
        self.head = nn.Linear(width, 3 * pixels * pixels)
        self.conv = nn.Conv2d(3, 3, 3, padding=1)
        self.apply(partial(init_linear, scheme=weight_init))
        if weight_init == "fan_in":
            # Three colours mixed at random would begin as noise; the identity keeps what the head says.
            nn.init.dirac_(self.conv.weight)
        self.blur = blur
        # Drawn last, so that all else begins as it does without.
        self.dropped_token = embedding(1, width, std=std) if fill_up else None

    def forward(
        self,
        z_q: Float[Tensor, "batch tokens channels"],
        lattice: tuple[int, int],
        size: tuple[int, int],
        lengths: Int[Tensor, " batch"] | None = None,
    ) -> Float[Tensor, "batch 3 height width"]:
        """Return images of `size` (height, width in pixels) decoded on a lattice (rows, columns).

        With `fill_up`, `lengths` says how many of each image's latents count; None: all that come in.
        """
        batch = len(z_q)
        latents = self._latents(z_q, lengths)
        num_tokens = latents.shape[1]
        num_patches = lattice[0] * lattice[1]
        masks = self.positions.add(self.mask_token.expand(batch, num_patches, -1), lattice)
        class_token = (self.class_token + self.class_pos).expand(batch, -1, -1)
        x = torch.cat([class_token.to(latents.dtype), masks.to(latents.dtype), latents], dim=1)
        x = self.transformer(self.ln_pre(x), self.positions.rotations(lattice, 1, num_tokens))
        x = self.head(self.ln_post(x[:, 1 : 1 + num_patches]))
        # Channels of the head run (row in patch, column in patch, colour), as in the official code.
        x = x.unflatten(2, (self.pixels, self.pixels, 3)).unflatten(1, lattice)
        canvas = x.permute(0, 5, 1, 3, 2, 4).flatten(4, 5).flatten(2, 3)
        if self.blur is not None:
            canvas = self.blur(canvas, size)
        return self.conv(canvas)

    def _latents(
        self, z_q: Float[Tensor, "batch tokens channels"], lengths: Int[Tensor, " batch"] | None
    ) -> Float[Tensor, "batch all_tokens width"]:
        """Return the latents as the transformer takes them, with their positions."""
        x = self.embed(z_q)
        if self.dropped_token is not None:
            missing = self.dropped_token.to(x.dtype)
            if lengths is not None:
                kept = torch.arange(x.shape[1], device=x.device) < lengths[:, None]
                x = torch.where(kept[..., None], x, missing)
            rest = len(self.latent_pos) - x.shape[1]
            x = torch.cat([x, missing.expand(len(x), rest, -1)], dim=1)
        return x + self.latent_pos[: x.shape[1]]
