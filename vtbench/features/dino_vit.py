"""The vision transformers of DINO (Caron et al. 2021, arXiv:2104.14294) and DINOv2 (Oquab et al. 2023, 2304.07193).

Both are plain pre-norm ViTs with a class token and learned positions; DINOv2 scales what each half of a block adds.
Width, depth, patch and positions are read from the authors' state dicts, whose keys these modules have. Positions of
another grid are resized as the authors do: bicubic, each side by (wanted + 0.1) / own.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

_HEAD_DIM = 64
_EPS = 1e-6
_MEAN, _STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


class DinoVit(nn.Module):
    """A frozen ViT that returns its class token.

    Args:
        state: a state dict of the backbone alone, in DINO's or DINOv2's names.

    Raises:
        RuntimeError: keys are missing or too many (`load_state_dict`'s own).
    """

    def __init__(self, state: Mapping[str, Tensor]) -> None:
        super().__init__()
        state = {key: value for key, value in state.items() if key != "mask_token"}  # DINOv2's training alone needs it
        width, _, self.patch_size, _ = state["patch_embed.proj.weight"].shape
        depth = 1 + max(int(key.split(".")[1]) for key in state if key.startswith("blocks."))
        with torch.device("meta"):
            self.patch_embed = nn.ModuleDict({"proj": nn.Conv2d(3, width, self.patch_size, stride=self.patch_size)})
            self.cls_token = nn.Parameter(torch.empty(1, 1, width))
            self.pos_embed = nn.Parameter(torch.empty(state["pos_embed"].shape))
            self.blocks = nn.ModuleList(_Block(width, "blocks.0.ls1.gamma" in state) for _ in range(depth))
            self.norm = nn.LayerNorm(width, eps=_EPS)
        self.load_state_dict(state, assign=True)
        self.requires_grad_(False)
        self.eval()

    def class_token(
        self, images: Float[Tensor, "batch 3 height width"], normed: bool = True
    ) -> Float[Tensor, "batch channels"]:
        """Return the class token after the last block.

        Args:
            images: in [0, 1]; both sides multiples of the patch.
            normed: whether the last norm is applied.
        """
        mean, std = (images.new_tensor(each)[:, None, None] for each in (_MEAN, _STD))
        patches = self.patch_embed["proj"]((images - mean) / std)
        x = torch.cat([self.cls_token.expand(len(images), -1, -1), patches.flatten(2).transpose(1, 2)], dim=1)
        x = x + self._positions((patches.shape[-2], patches.shape[-1]))
        for block in self.blocks:
            x = block(x)
        token: Tensor = self.norm(x[:, 0]) if normed else x[:, 0]
        return token

    def _positions(self, grid: tuple[int, int]) -> Float[Tensor, "1 tokens channels"]:
        own = math.isqrt(self.pos_embed.shape[1] - 1)
        if grid == (own, own):
            return self.pos_embed
        lattice = self.pos_embed[:, 1:].unflatten(1, (own, own)).permute(0, 3, 1, 2)
        scale = [(side + 0.1) / own for side in grid]
        resized = F.interpolate(lattice, scale_factor=scale, mode="bicubic").flatten(2).transpose(1, 2)
        return torch.cat([self.pos_embed[:, :1], resized], dim=1)


class _Block(nn.Module):
    """Attention and an MLP, each behind a norm, beside a residual connection, and scaled if `scaled`."""

    def __init__(self, width: int, scaled: bool) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(width, eps=_EPS)
        self.attn = nn.ModuleDict({"qkv": nn.Linear(width, 3 * width), "proj": nn.Linear(width, width)})
        self.ls1 = _Scale(width) if scaled else nn.Identity()
        self.norm2 = nn.LayerNorm(width, eps=_EPS)
        self.mlp = nn.ModuleDict({"fc1": nn.Linear(width, 4 * width), "fc2": nn.Linear(4 * width, width)})
        self.ls2 = _Scale(width) if scaled else nn.Identity()

    def forward(self, x: Float[Tensor, "batch tokens channels"]) -> Float[Tensor, "batch tokens channels"]:
        query, key, value = self.attn["qkv"](self.norm1(x)).unflatten(-1, (3, -1, _HEAD_DIM)).permute(2, 0, 3, 1, 4)
        attended = F.scaled_dot_product_attention(query, key, value).transpose(1, 2).flatten(2)
        x = x + self.ls1(self.attn["proj"](attended))
        out: Tensor = x + self.ls2(self.mlp["fc2"](F.gelu(self.mlp["fc1"](self.norm2(x)))))
        return out


class _Scale(nn.Module):
    """One factor a channel."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gamma = nn.Parameter(torch.empty(width))

    def forward(self, x: Float[Tensor, "batch tokens channels"]) -> Float[Tensor, "batch tokens channels"]:
        return x * self.gamma
