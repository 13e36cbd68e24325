"""LlamaGen's class-conditional GPT: one code a token, on a grid whose size is the image's.

Sun et al. 2024, "Autoregressive Model Beats Diffusion: Llama for Scalable Image Generation" (arXiv 2406.06525);
official code FoundationVision/LlamaGen, commit ce98ec4. [class, tokens row by row]; RoPE over rows and columns, zero at
the class (see `vtbench.models.nn.sequence`); an output layer of its own without bias, which begins at zero.

Beyond the official code: grids need not be square, and guidance can follow any schedule.
"""

from __future__ import annotations

from typing import ClassVar, Literal

from jaxtyping import Float, Int
from pydantic import Field, PositiveFloat, PositiveInt, model_validator
from torch import Tensor, nn

from vtbench.models.generators.base import Choose, Condition, Generator, GeneratorSize
from vtbench.models.nn.causal import CausalConfig, CausalTransformer
from vtbench.models.nn.sequence import Position, SequenceRope, grid_angles
from vtbench.models.nn.transformer import WeightInit
from vtbench.schema.base import Frozen

SizeName = Literal["b", "l", "xl", "xxl", "3b"]

SIZES: dict[SizeName, GeneratorSize] = {
    "b": GeneratorSize(width=768, num_layers=12, num_heads=12),
    "l": GeneratorSize(width=1024, num_layers=24, num_heads=16),
    "xl": GeneratorSize(width=1280, num_layers=36, num_heads=20),
    "xxl": GeneratorSize(width=1536, num_layers=48, num_heads=24),
    "3b": GeneratorSize(width=3200, num_layers=24, num_heads=32),
}
"""The named sizes: 111M, 343M, 775M, 1.4B and 3.1B parameters."""


class LlamaGenConfig(Frozen):
    """Options of `LlamaGen`; the defaults are the official GPT-B for 256 x 256 pixels."""

    size: SizeName | GeneratorSize = "b"
    grid_size: tuple[PositiveInt, PositiveInt] = (16, 16)
    """Rows and columns of tokens: the image's height and width over the tokenizer's factor."""
    num_classes: PositiveInt = 1000
    codebook_size: PositiveInt = 16384
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
    def _axes_share_pairs(self) -> LlamaGenConfig:
        size = self.numbers
        if size.width % (4 * size.num_heads):
            raise ValueError(f"width {size.width} must be a multiple of 4 x num_heads = {4 * size.num_heads}")
        return self


class LlamaGen(Generator):
    """The generator; see the module."""

    Config: ClassVar[type[Frozen]] = LlamaGenConfig

    def __init__(self, config: LlamaGenConfig) -> None:
        super().__init__()
        self.config = config
        self.num_classes = config.num_classes
        self.num_codebooks = 1
        self.codebook_size = config.codebook_size
        self.max_num_tokens = config.grid_size[0] * config.grid_size[1]
        self.condition_dropout = config.condition_dropout
        size = config.numbers
        trunk = CausalConfig(
            **size.model_dump(),
            ffn_multiple=config.ffn_multiple,
            attention_dropout=config.attention_dropout,
            residual_dropout=config.residual_dropout,
            ffn_dropout=config.ffn_dropout,
        )
        self.class_embed = nn.Embedding(config.num_classes + 1, size.width)
        self.token_embed = nn.Embedding(config.codebook_size, size.width)
        self.token_dropout = nn.Dropout(config.token_dropout)
        rope = SequenceRope(grid_angles(*config.grid_size, trunk.head_dim, config.rope_base))
        self.trunk = CausalTransformer(trunk, rope)
        self.head = nn.Linear(size.width, config.codebook_size, bias=False)
        self._initialise(config.weight_init, config.embedding_std)
        nn.init.zeros_(self.head.weight)

    def embed_condition(self, condition: Condition) -> Float[Tensor, "batch 1 width"]:
        """Return the class embedding; the size in pixels is what the grid says."""
        return self.class_embed(condition.labels)[:, None]

    def embed_tokens(
        self, indices: Int[Tensor, "batch num_codebooks tokens"], position: Position
    ) -> Float[Tensor, "batch tokens width"]:
        """Return the codes' embeddings."""
        return self.token_embed(indices[:, 0])

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
