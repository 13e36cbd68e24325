"""The causal pre-norm transformer of Llama, as LlamaGen, VibeToken-Gen and FlexTok's generator use it.

RMSNorm (Zhang & Sennrich 2019), SwiGLU (Shazeer 2020), no biases, eps 1e-5. Optional RMSNorm of queries and keys, and
of values, one gain for all heads; optional capping of attention scores, `cap * tanh(score / cap)` (Gemma 2).

A sequence is either run at once, which is what training and counting see, or place by place on a `KVCache`. Attention
goes through `scaled_dot_product_attention`; only capped scores, for which it has no room, are multiplied out. Unlike
the official code, which caps after masking and so leaves hidden places a weight of about e^-50, they get none.
"""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Bool, Float
from pydantic import Field, PositiveFloat, PositiveInt, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from vtbench.models.nn.kv_cache import KVCache, LayerCache
from vtbench.models.nn.rope import Rotation
from vtbench.models.nn.sequence import Position, SequenceRope, rotate_neighbours
from vtbench.schema.base import Frozen

NORM_EPS = 1e-5

HeadNorm = Literal["none", "qk", "qkv"]
"""Which of queries, keys and values are normalised, head by head."""


class CausalConfig(Frozen):
    """Size and options of a stack of blocks; `ffn_multiple` is what the SwiGLU's width 8/3 w is rounded up to."""

    width: PositiveInt
    num_layers: PositiveInt
    num_heads: PositiveInt
    ffn_multiple: PositiveInt = 256
    head_norm: HeadNorm = "none"
    score_cap: PositiveFloat | None = None
    attention_dropout: float = Field(default=0.0, ge=0, lt=1)
    residual_dropout: float = Field(default=0.0, ge=0, lt=1)
    ffn_dropout: float = Field(default=0.0, ge=0, lt=1)

    @model_validator(mode="after")
    def _divides(self) -> CausalConfig:
        if self.width % self.num_heads:
            raise ValueError(f"width {self.width} is no multiple of num_heads {self.num_heads}")
        return self

    @property
    def head_dim(self) -> int:
        """Width of one head."""
        return self.width // self.num_heads

    @property
    def ffn_width(self) -> int:
        """Hidden width of the SwiGLU: two thirds of four times the width, rounded up."""
        hidden = 8 * self.width // 3
        return -(-hidden // self.ffn_multiple) * self.ffn_multiple


class SwiGlu(nn.Module):
    """`down(silu(gate x) * up x)`; gate and up are one product."""

    def __init__(self, width: int, hidden: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.gate_up = nn.Linear(width, 2 * hidden, bias=False)
        self.down = nn.Linear(hidden, width, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Float[Tensor, "*batch width"]) -> Float[Tensor, "*batch width"]:
        """Map each token by itself."""
        gate, up = self.gate_up(x).chunk(2, dim=-1)
        return self.dropout(self.down(F.silu(gate) * up))


class CausalAttention(nn.Module):
    """Multi-head self-attention in which no token sees a later one."""

    def __init__(self, config: CausalConfig) -> None:
        super().__init__()
        self.num_heads = config.num_heads
        self.score_cap = config.score_cap
        self.dropout = config.attention_dropout
        self.qkv = nn.Linear(config.width, 3 * config.width, bias=False)
        self.proj = nn.Linear(config.width, config.width, bias=False)
        self.proj_dropout = nn.Dropout(config.residual_dropout)
        normalised = "" if config.head_norm == "none" else config.head_norm
        self.q_norm, self.k_norm, self.v_norm = (
            nn.RMSNorm(config.head_dim, eps=NORM_EPS) if letter in normalised else None for letter in "qkv"
        )

    def forward(
        self,
        x: Float[Tensor, "batch tokens width"],
        rotation: Rotation | None = None,
        cache: LayerCache | None = None,
        position: Position = 0,
    ) -> Float[Tensor, "batch tokens width"]:
        """Attend from every token to those before it and itself; with a cache, `x` is the one token at `position`."""
        parts = self.qkv(x).unflatten(-1, (3, self.num_heads, -1)).permute(2, 0, 3, 1, 4)
        norms = (self.q_norm, self.k_norm, self.v_norm)
        q, k, v = (part if norm is None else norm(part) for part, norm in zip(parts.unbind(0), norms, strict=True))
        if rotation is not None:
            # Together, for half as many small operations, of which a step with a cache mostly consists.
            both = parts[:2] if self.q_norm is None and self.k_norm is None else torch.stack([q, k])
            q, k = rotate_neighbours(both, rotation).unbind(0)
        mask = None
        if cache is not None:
            k, v, mask = cache.extend(k, v, position)
        out = self._attend(q, k, v, mask, causal=cache is None)
        return self.proj_dropout(self.proj(out.transpose(1, 2).flatten(2)))

    def _attend(
        self,
        q: Float[Tensor, "batch heads queries dim"],
        k: Float[Tensor, "batch heads keys dim"],
        v: Float[Tensor, "batch heads keys dim"],
        mask: Bool[Tensor, "queries keys"] | None,
        causal: bool,
    ) -> Float[Tensor, "batch heads queries dim"]:
        dropout = self.dropout if self.training else 0.0
        if self.score_cap is None:
            return F.scaled_dot_product_attention(q, k, v, attn_mask=mask, dropout_p=dropout, is_causal=causal)
        if causal:
            mask = torch.ones(q.shape[2], k.shape[2], dtype=torch.bool, device=q.device).tril()
        scores = (q @ k.transpose(2, 3)).float() * q.shape[3] ** -0.5
        scores = self.score_cap * torch.tanh(scores / self.score_cap)
        if mask is not None:
            scores = scores.masked_fill(~mask, -torch.inf)
        weights = F.dropout(scores.softmax(-1), dropout)
        return weights.to(v.dtype) @ v


class CausalBlock(nn.Module):
    """`x += attention(norm x); x += ffn(norm x)`."""

    def __init__(self, config: CausalConfig) -> None:
        super().__init__()
        self.norm1 = nn.RMSNorm(config.width, eps=NORM_EPS)
        self.attention = CausalAttention(config)
        self.norm2 = nn.RMSNorm(config.width, eps=NORM_EPS)
        self.ffn = SwiGlu(config.width, config.ffn_width, config.ffn_dropout)

    def forward(
        self,
        x: Float[Tensor, "batch tokens width"],
        rotation: Rotation | None = None,
        cache: LayerCache | None = None,
        position: Position = 0,
    ) -> Float[Tensor, "batch tokens width"]:
        """Return the block's output; see `CausalAttention.forward`."""
        x = x + self.attention(self.norm1(x), rotation, cache, position)
        return x + self.ffn(self.norm2(x))


class CausalTransformer(nn.Module):
    """A stack of causal blocks and the norm after them.

    Args:
        config: its size.
        rope: rotary positions of all layers; None leaves positions to the caller.
    """

    def __init__(self, config: CausalConfig, rope: SequenceRope | None = None) -> None:
        super().__init__()
        self.config = config
        self.rope = rope
        self.blocks = nn.ModuleList(CausalBlock(config) for _ in range(config.num_layers))
        self.norm = nn.RMSNorm(config.width, eps=NORM_EPS)

    def forward(
        self, x: Float[Tensor, "batch tokens width"], cache: KVCache | None = None, position: Position = 0
    ) -> Float[Tensor, "batch tokens width"]:
        """Return normalised outputs.

        Args:
            x: the whole sequence; with a cache, the one token at `position`.
            cache: holds all places before `position`; this one is written.
            position: where the token stands.
        """
        rotation = None if self.rope is None else self.rope(position, x.shape[1])
        for i, block in enumerate(self.blocks):
            x = block(x, rotation, None if cache is None else cache.layers[i], position)
        return self.norm(x)

    def new_cache(self, batch: int, length: int) -> KVCache:
        """Reserve a cache for `batch` sequences of `length` places, in the precision that products run in."""
        weight = self.norm.weight
        dtype = weight.dtype
        if not weight.is_meta and torch.is_autocast_enabled(weight.device.type):
            dtype = torch.get_autocast_dtype(weight.device.type)
        config = self.config
        return KVCache.empty(config.num_layers, batch, config.num_heads, length, config.head_dim, weight.device, dtype)
