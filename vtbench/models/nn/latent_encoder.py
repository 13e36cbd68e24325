"""VibeToken's encoder: patches in, the first L latents out.

Sequence [class, patches, latents]. The official code appends the latents, notes that quote the paper say they are
prepended; with full attention and positions of their own the order makes no difference.
"""

from __future__ import annotations

from functools import partial

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vtbench.models.nn.patch_embed import AdaptivePatchEmbed, FixedPatchEmbed
from vtbench.models.nn.positions import Positions, PositionsConfig
from vtbench.models.nn.transformer import Transformer, TransformerConfig, WeightInit, embedding, init_linear


class LatentEncoder(nn.Module):
    """A ViT with learned latent tokens beside its patches.

    Args:
        config: the transformer's size.
        patch_embed: images and patch size -> (batch, width, rows, columns).
        positions: positions of the patches.
        num_latent_tokens: most latents that can be asked for.
        latent_width: channels of a latent.
        weight_init: scheme for linear layers and convolutions.
    """

    def __init__(
        self,
        config: TransformerConfig,
        patch_embed: FixedPatchEmbed | AdaptivePatchEmbed,
        positions: PositionsConfig,
        num_latent_tokens: int,
        latent_width: int,
        weight_init: WeightInit = "trunc_normal",
    ) -> None:
        super().__init__()
        width, std = config.width, positions.init_std
        self.latent_tokens = embedding(num_latent_tokens, width, std=std)
        self.latent_pos = embedding(num_latent_tokens, width, std=std)
        self.class_token = embedding(1, width, std=std)
        self.class_pos = embedding(1, width, std=std)
        self.positions = Positions(positions, config)
        self.ln_pre = nn.LayerNorm(width)
        self.transformer = Transformer(config)
        self.ln_post = nn.LayerNorm(width)
        self.proj = nn.Linear(width, latent_width)
        self.patch_embed = patch_embed
        self.apply(partial(init_linear, scheme=weight_init))

    def forward(
        self, images: Float[Tensor, "batch 3 height width"], patch: tuple[int, int], num_tokens: int
    ) -> Float[Tensor, "batch tokens channels"]:
        """Return `num_tokens` latents of images cut into patches of size `patch` (height, width in pixels)."""
        x = self.patch_embed(images, patch)
        lattice = (x.shape[2], x.shape[3])
        patches = self.positions.add(x.flatten(2).transpose(1, 2), lattice)
        batch = len(patches)
        class_token = (self.class_token + self.class_pos).expand(batch, -1, -1)
        latents = (self.latent_tokens[:num_tokens] + self.latent_pos[:num_tokens]).expand(batch, -1, -1)
        x = torch.cat([class_token, patches, latents.to(patches.dtype)], dim=1)
        x = self.transformer(self.ln_pre(x), self.positions.rotations(lattice, 1, num_tokens))
        return self.proj(self.ln_post(x[:, -num_tokens:]))
