"""VibeToken-Gen: a fixed number of tokens for an image of any size, several codes a token.

Patel et al. (arXiv 2604.24885); official code SonyResearch/VibeToken, commit 28b695b. LlamaGen's GPT with these
differences: a token's embedding is the sum of its codes' embeddings, each codebook's its own; RoPE counts along the
sequence; queries and keys are normalised; the condition is class embedding + linear(height) + linear(width); a code
head (`vtbench.models.generators.code_head`) predicts the codes one after the other.

| | default | option (official code) |
|---|---|---|
| norms inside attention | queries and keys (paper) | `head_norm: qkv` also normalises values |
| capped attention scores | none | `score_cap: 50` (in the code, not in the released models) |
| guidance | any scale or schedule | `guidance.cosine(16, 2.5)`: the code ignores its own `cfg_scale` |

The unconditional half of guidance keeps the size and loses only the class. The released models are trained for sizes up
to 512 pixels a side; larger images come from the tokenizer's decoder.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field, PositiveFloat, PositiveInt, model_validator
from torch import Tensor, nn
from torch.nn import functional as F

from vtbench.errors import ResolutionError
from vtbench.models.generators.base import Choose, Condition, Generator, GeneratorSize
from vtbench.models.generators.code_head import CodeHead
from vtbench.models.nn.causal import CausalConfig, CausalTransformer, HeadNorm
from vtbench.models.nn.sequence import Position, SequenceRope, row_angles
from vtbench.models.nn.transformer import WeightInit
from vtbench.schema.base import Frozen

SizeName = Literal["b", "l", "xl", "xxl"]

SIZES: dict[SizeName, GeneratorSize] = {
    "b": GeneratorSize(width=768, num_layers=12, num_heads=12),
    "l": GeneratorSize(width=1024, num_layers=24, num_heads=16),
    "xl": GeneratorSize(width=1280, num_layers=36, num_heads=20),
    "xxl": GeneratorSize(width=1536, num_layers=48, num_heads=24),
}
"""The named sizes of the trunk; b and xxl were released."""


class VibeTokenGenConfig(Frozen):
    """Options of `VibeTokenGen`; the defaults are the paper's, at its smaller size."""

    size: SizeName | GeneratorSize = "b"
    num_head_layers: PositiveInt = 4
    max_num_tokens: PositiveInt = 256
    """Longest sequence; the paper's final models make 64 tokens, the official code 65."""
    num_classes: PositiveInt = 1000
    num_codebooks: PositiveInt = 8
    codebook_size: PositiveInt = 4096
    """Entries of each codebook."""
    pixels_scale: PositiveFloat = 1536.0
    """Height and width in pixels are divided by this."""
    head_norm: HeadNorm = "qk"
    score_cap: PositiveFloat | None = None
    ffn_multiple: PositiveInt = 256
    rope_base: PositiveFloat = 10000.0
    condition_dropout: float = Field(default=0.1, ge=0, lt=1)
    token_dropout: float = Field(default=0.1, ge=0, lt=1)
    attention_dropout: float = Field(default=0.0, ge=0, lt=1)
    residual_dropout: float = Field(default=0.1, ge=0, lt=1)
    ffn_dropout: float = Field(default=0.1, ge=0, lt=1)
    weight_init: WeightInit = "trunc_normal"
    embedding_std: PositiveFloat = 0.02

    @property
    def numbers(self) -> GeneratorSize:
        """The trunk's size in numbers."""
        return SIZES[self.size] if isinstance(self.size, str) else self.size

    @model_validator(mode="after")
    def _pairs(self) -> VibeTokenGenConfig:
        size = self.numbers
        if size.width % (2 * size.num_heads):
            raise ValueError(f"width {size.width} must be a multiple of 2 x num_heads = {2 * size.num_heads}")
        return self


class VibeTokenGen(Generator):
    """The generator; see the module."""

    Config: ClassVar[type[Frozen]] = VibeTokenGenConfig
    head: CodeHead

    def __init__(self, config: VibeTokenGenConfig) -> None:
        super().__init__()
        self.config = config
        self.num_classes = config.num_classes
        self.num_codebooks = config.num_codebooks
        self.codebook_size = config.codebook_size
        self.max_num_tokens = config.max_num_tokens
        self.condition_dropout = config.condition_dropout
        size = config.numbers
        trunk = CausalConfig(
            **size.model_dump(),
            ffn_multiple=config.ffn_multiple,
            head_norm=config.head_norm,
            score_cap=config.score_cap,
            attention_dropout=config.attention_dropout,
            residual_dropout=config.residual_dropout,
            ffn_dropout=config.ffn_dropout,
        )
        self.class_embed = nn.Embedding(config.num_classes + 1, size.width)
        self.height_embed = nn.Linear(1, size.width)
        self.width_embed = nn.Linear(1, size.width)
        # Codebooks one after the other, so that one look-up serves them all.
        self.token_embed = nn.Embedding(config.num_codebooks * config.codebook_size, size.width)
        self.code_embed = nn.Embedding((config.num_codebooks - 1) * config.codebook_size, size.width)
        self.token_dropout = nn.Dropout(config.token_dropout)
        rope = SequenceRope(row_angles(config.max_num_tokens, trunk.head_dim, config.rope_base))
        self.trunk = CausalTransformer(trunk, rope)
        self.head = CodeHead(trunk.model_copy(update={"num_layers": config.num_head_layers}), config.codebook_size)
        self._initialise(config.weight_init, config.embedding_std)
        nn.init.zeros_(self.head.linear.weight)

    def embed_condition(self, condition: Condition) -> Float[Tensor, "batch 1 width"]:
        """Return the class embedding plus those of height and width."""
        if condition.height is None or condition.width is None:
            raise ResolutionError(
                "VibeToken-Gen is conditioned on the image's height and width; the condition has none"
            )
        sides = torch.stack([condition.height, condition.width])[:, :, None] / self.config.pixels_scale
        height, width = sides.to(self.height_embed.weight.dtype)
        embedded = self.class_embed(condition.labels) + self.height_embed(height) + self.width_embed(width)
        return embedded[:, None]

    def embed_tokens(
        self, indices: Int[Tensor, "batch num_codebooks tokens"], position: Position
    ) -> Float[Tensor, "batch tokens width"]:
        """Return the sums of the codes' embeddings."""
        return self._look_up(self.token_embed, indices.transpose(1, 2)).sum(2)

    def _look_up(
        self, table: nn.Embedding, codes: Int[Tensor, "batch tokens codes"]
    ) -> Float[Tensor, "batch tokens codes width"]:
        """Return embeddings of the codes of the first codebooks, each from its own part of the table."""
        offsets = torch.arange(codes.shape[2], device=codes.device) * self.codebook_size
        return F.embedding(codes + offsets, table.weight)

    def logits(
        self,
        hidden: Float[Tensor, "batch positions width"],
        indices: Int[Tensor, "batch num_codebooks positions"] | None = None,
    ) -> Float[Tensor, "batch positions num_codebooks codebook_size"]:
        """Return the logits of the token that each place predicts, each code given those before it in `indices`.

        Raises:
            ValueError: no indices are given.
        """
        if indices is None:
            raise ValueError("a code is predicted from those before it in its token: give indices")
        embedded = self._look_up(self.code_embed, indices[:, :-1].transpose(1, 2))
        x = torch.cat([hidden[:, :, None], embedded], dim=2)
        return self.head(x.flatten(0, 1)).unflatten(0, x.shape[:2])

    def sample_token(
        self, hidden: Float[Tensor, "batch 1 width"], choose: Choose
    ) -> Int[Tensor, "batch num_codebooks 1"]:
        """Return the token after one place, going through its codes on a cache of their own."""
        cache = self.head.new_cache(hidden.shape[0], self.num_codebooks)
        codes: list[Tensor] = []
        x = hidden
        for number in range(self.num_codebooks):
            if number > 0:
                x = F.embedding(codes[-1] + (number - 1) * self.codebook_size, self.code_embed.weight)[:, None]
            codes.append(choose(self.head(x, cache, number)[:, 0]))
        return torch.stack(codes, dim=1)[:, :, None]
