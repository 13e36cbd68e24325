"""Pre-norm transformer blocks (Vaswani et al. 2017; Dosovitskiy et al. 2021) with optional rotary positions.

Biases everywhere, exact GELU, LayerNorm eps 1e-5, no dropout: the blocks of TiTok and VibeToken. Attention goes through
`scaled_dot_product_attention`, and no mask is ever built.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn import functional as F

from vtbench.models.nn.rope import Rotation, rotate
from vtbench.schema.base import Frozen


class TransformerConfig(Frozen):
    """Width, depth and heads of a stack of blocks; the head's width is `width / num_heads`."""

    width: PositiveInt
    num_layers: PositiveInt
    num_heads: PositiveInt
    mlp_ratio: PositiveInt = 4

    @property
    def head_dim(self) -> int:
        """Width of one head."""
        return self.width // self.num_heads


SIZES = {
    "tiny": TransformerConfig(width=256, num_layers=4, num_heads=4),
    "small": TransformerConfig(width=512, num_layers=8, num_heads=8),
    "base": TransformerConfig(width=768, num_layers=12, num_heads=12),
    "large": TransformerConfig(width=1024, num_layers=24, num_heads=16),
}
"""The named sizes of the TiTok family and VibeToken."""


WeightInit = Literal["trunc_normal", "fan_in"]


class Attention(nn.Module):
    """Multi-head self-attention with one fused projection for queries, keys and values.

    Attributes:
        counts_as_multihead_attention: whether this stands for an nn.MultiheadAttention, as the official models have it;
            counters by module hooks, and so many published figures, skip those whole. Makes no difference to results.
    """

    counts_as_multihead_attention = True

    def __init__(self, width: int, num_heads: int) -> None:
        super().__init__()
        self.num_heads = num_heads
        self.qkv = nn.Linear(width, 3 * width)
        self.proj = nn.Linear(width, width)

    def forward(
        self, x: Float[Tensor, "batch tokens width"], rotation: Rotation | None = None
    ) -> Float[Tensor, "batch tokens width"]:
        """Attend from every token to every token; `rotation` turns queries and keys by their position."""
        q, k, v = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        if rotation is not None:
            q, k = rotate(q, rotation), rotate(k, rotation)
        out = F.scaled_dot_product_attention(q, k, v)
        return self.proj(out.transpose(1, 2).flatten(2))


class Mlp(nn.Module):
    """Linear, exact GELU, linear."""

    def __init__(self, width: int, hidden: int) -> None:
        super().__init__()
        self.fc1 = nn.Linear(width, hidden)
        self.fc2 = nn.Linear(hidden, width)

    def forward(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        """Map each token by itself."""
        return self.fc2(F.gelu(self.fc1(x)))


class Block(nn.Module):
    """`x += attention(norm x); x += mlp(norm x)`."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.norm1 = nn.LayerNorm(config.width)
        self.attention = Attention(config.width, config.num_heads)
        self.norm2 = nn.LayerNorm(config.width)
        self.mlp = Mlp(config.width, config.mlp_ratio * config.width)

    def forward(
        self, x: Float[Tensor, "batch tokens width"], rotation: Rotation | None = None
    ) -> Float[Tensor, "batch tokens width"]:
        """Return the block's output."""
        x = x + self.attention(self.norm1(x), rotation)
        return x + self.mlp(self.norm2(x))


class Transformer(nn.Module):
    """A stack of blocks; layer i is turned by `rotations[i]` if rotations are given."""

    def __init__(self, config: TransformerConfig) -> None:
        super().__init__()
        self.blocks = nn.ModuleList(Block(config) for _ in range(config.num_layers))

    def forward(
        self, x: Float[Tensor, "batch tokens width"], rotations: Sequence[Rotation] | None = None
    ) -> Float[Tensor, "batch tokens width"]:
        """Return the last block's output, not normalised."""
        for i, block in enumerate(self.blocks):
            x = block(x, None if rotations is None else rotations[i])
        return x


def init_linear(module: nn.Module, scheme: WeightInit = "trunc_normal") -> None:
    """Initialise the weights of a linear layer or convolution and zero its biases; leave other modules alone.

    `trunc_normal`: std 0.02 whatever the layer's width (the official recipe). `fan_in`: std `fan_in ** -0.5`, at
    which a signal keeps its size; narrow models then leave the plateau where they answer with the mean image in a few
    hundred steps.
    """
    if isinstance(module, nn.Linear | nn.Conv2d):
        init_weight(module.weight, scheme)
        if module.bias is not None:
            nn.init.zeros_(module.bias)


def init_weight(weight: Tensor, scheme: WeightInit) -> None:
    """Initialise one weight (outputs first) by `scheme`; see `init_linear`."""
    std = 0.02 if scheme == "trunc_normal" else weight[0].numel() ** -0.5
    nn.init.trunc_normal_(weight, std=std)


def embedding(*shape: int, std: float | None = None) -> nn.Parameter:
    """Return a parameter drawn from N(0, std^2); std defaults to `width ** -0.5`, width being the last axis."""
    return nn.Parameter(torch.randn(*shape) * (shape[-1] ** -0.5 if std is None else std))
