"""FlexTok's class-conditional generator: one of 64,000 codes a token, in a row, no rotary positions.

Bachmann et al. 2025, "FlexTok: Resampling Images into 1D Token Sequences of Flexible Length" (arXiv 2502.13967),
section 4 and Appendix C.3 with Table 6: Llama's blocks at width 64 d, d layers and d heads, learned absolute positions,
a class embedding added to a learned first token ([SOI]).

The paper's parameter counts, without embeddings and output layer, come out at a SwiGLU of width 8/3 w, not rounded up
further: "MLP ratio 4" counts as two matrices. It leaves open, and we chose: positions are added to the image tokens
alone, the first token being learned itself; the output layer is not tied, has no bias and begins at zero.
"""

from __future__ import annotations

from typing import ClassVar, Literal

import torch
from jaxtyping import Float, Int
from pydantic import Field, PositiveFloat, PositiveInt
from torch import Tensor, nn

from vtbench.models.generators.base import Choose, Condition, Generator, GeneratorSize
from vtbench.models.nn.causal import CausalConfig, CausalTransformer
from vtbench.models.nn.sequence import Position, rows
from vtbench.models.nn.transformer import WeightInit
from vtbench.schema.base import Frozen

SizeName = Literal["49m", "85m", "201m", "393m", "679m", "1.33b"]


def depth_size(depth: int) -> GeneratorSize:
    """Return the size of `depth` layers: as many heads, of width 64."""
    return GeneratorSize(width=64 * depth, num_layers=depth, num_heads=depth)


SIZES: dict[SizeName, GeneratorSize] = {
    "49m": depth_size(10),
    "85m": depth_size(12),
    "201m": depth_size(16),
    "393m": depth_size(20),
    "679m": depth_size(24),
    "1.33b": depth_size(30),
}
"""The paper's sizes, by their parameters without embeddings."""


class FlexTokARConfig(Frozen):
    """Options of `FlexTokAR`; the defaults are the paper's, at its second size."""

    size: SizeName | GeneratorSize = "85m"
    max_num_tokens: PositiveInt = 256
    num_classes: PositiveInt = 1000
    codebook_size: PositiveInt = 64000
    ffn_multiple: PositiveInt = 1
    condition_dropout: float = Field(default=0.1, ge=0, lt=1)
    token_dropout: float = Field(default=0.0, ge=0, lt=1)
    attention_dropout: float = Field(default=0.1, ge=0, lt=1)
    residual_dropout: float = Field(default=0.1, ge=0, lt=1)
    ffn_dropout: float = Field(default=0.1, ge=0, lt=1)
    weight_init: WeightInit = "trunc_normal"
    embedding_std: PositiveFloat = 0.02

    @property
    def numbers(self) -> GeneratorSize:
        """The trunk's size in numbers."""
        return SIZES[self.size] if isinstance(self.size, str) else self.size


class FlexTokAR(Generator):
    """The generator; see the module."""

    Config: ClassVar[type[Frozen]] = FlexTokARConfig

    def __init__(self, config: FlexTokARConfig) -> None:
        super().__init__()
        self.config = config
        self.num_classes = config.num_classes
        self.num_codebooks = 1
        self.codebook_size = config.codebook_size
        self.max_num_tokens = config.max_num_tokens
        self.condition_dropout = config.condition_dropout
        size = config.numbers
        self.first_token = nn.Parameter(torch.empty(size.width))
        self.class_embed = nn.Embedding(config.num_classes + 1, size.width)
        self.token_embed = nn.Embedding(config.codebook_size, size.width)
        self.token_pos = nn.Parameter(torch.empty(config.max_num_tokens, size.width))
        self.token_dropout = nn.Dropout(config.token_dropout)
        self.trunk = CausalTransformer(
            CausalConfig(
                **size.model_dump(),
                ffn_multiple=config.ffn_multiple,
                attention_dropout=config.attention_dropout,
                residual_dropout=config.residual_dropout,
                ffn_dropout=config.ffn_dropout,
            )
        )
        self.head = nn.Linear(size.width, config.codebook_size, bias=False)
        self._initialise(config.weight_init, config.embedding_std)
        for parameter in (self.first_token, self.token_pos):
            nn.init.normal_(parameter, std=config.embedding_std)
        nn.init.zeros_(self.head.weight)

    def embed_condition(self, condition: Condition) -> Float[Tensor, "batch 1 width"]:
        """Return the first token plus the class embedding."""
        return (self.first_token + self.class_embed(condition.labels))[:, None]

    def embed_tokens(
        self, indices: Int[Tensor, "batch num_codebooks tokens"], position: Position
    ) -> Float[Tensor, "batch tokens width"]:
        """Return the codes' embeddings plus their positions."""
        return self.token_embed(indices[:, 0]) + rows(self.token_pos, position - 1, indices.shape[2])

    def logits(
        self,
        hidden: Float[Tensor, "batch positions width"],
        indices: Int[Tensor, "batch num_codebooks positions"] | None = None,
    ) -> Float[Tensor, "batch positions num_codebooks codebook_size"]:
        """Return the logits of the token that each place predicts."""
        return self.head(hidden)[:, :, None]

    def sample_token(
        self, hidden: Float[Tensor, "batch 1 width"], choose: Choose
    ) -> Int[Tensor, "batch num_codebooks 1"]:
        """Return the token after one place."""
        return choose(self.head(hidden)[:, 0])[:, None, None]
