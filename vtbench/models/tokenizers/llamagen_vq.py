"""LlamaGen's tokenizer: a grid of codes, one for each square of pixels.

Sun et al. 2024 (arXiv 2406.06525); official code FoundationVision/LlamaGen, commit ce98ec4. A convolutional encoder and
decoder (`vtbench.models.nn.conv_autoencoder`) around vector quantisation in few dimensions: latents and entries are
l2-normalised, the nearest entry is taken, the loss is `0.25 ||sg(e) - z||^2 + ||e - sg(z)||^2` without entropy. The
number of tokens follows from the image's size and from nothing else: images of any size that the square divides can be
tokenized, and are decoded at that size.

Beyond the official code: codebooks that start from latents, idle entries that are moved and steps without quantisation,
all off by default (see `vtbench.models.quantizers.mvq`). Images are in [0, 1] outside and in [-1, 1] inside.
"""

from __future__ import annotations

from typing import ClassVar

from jaxtyping import Float, Int
from pydantic import NonNegativeInt, PositiveInt, model_validator
from torch import Tensor, nn

from vtbench.errors import ResolutionError
from vtbench.models.nn.conv_autoencoder import ConvConfig, ConvDecoder, ConvEncoder
from vtbench.models.quantizers.mvq import CodebookInit, MultiCodebookQuantizer
from vtbench.models.quantizers.output import QuantizerOutput
from vtbench.models.tokenizers.base import Geometry, Size, Tokenizer
from vtbench.models.tokenizers.patch_rule import nearest_tiling
from vtbench.schema.base import Frozen


class LlamaGenVqConfig(Frozen):
    """Options of `LlamaGenVq`; the defaults are VQ-16. VQ-8 has `width_factors: [1, 2, 2, 4]`."""

    width: PositiveInt = 128
    """Channels at the image's resolution."""
    width_factors: tuple[PositiveInt, ...] = (1, 1, 2, 2, 4)
    """Channels of each level over `width`, the finest first; every further level halves the resolution."""
    num_res_blocks: PositiveInt = 2
    latent_width: PositiveInt = 256
    """Channels between encoder and quantiser."""
    num_groups: PositiveInt = 32
    codebook_size: PositiveInt = 16384
    codebook_dim: PositiveInt = 8
    codebook_init: CodebookInit = "uniform"
    revive_after: PositiveInt | None = None
    quantizer_warmup: NonNegativeInt = 0
    """Training steps at first whose latents pass unquantised, normalised."""

    @property
    def conv(self) -> ConvConfig:
        """Size of encoder and decoder."""
        return ConvConfig(
            width=self.width,
            width_factors=self.width_factors,
            num_res_blocks=self.num_res_blocks,
            latent_width=self.latent_width,
            num_groups=self.num_groups,
        )

    @model_validator(mode="after")
    def _can_be_built(self) -> LlamaGenVqConfig:
        if not self.width_factors:
            raise ValueError("width_factors is empty: at least one level is needed")
        if self.width % self.num_groups:
            raise ValueError(f"width {self.width} is no multiple of num_groups {self.num_groups}")
        return self


class LlamaGenVq(Tokenizer):
    """The tokenizer; see the module."""

    Config: ClassVar[type[Frozen]] = LlamaGenVqConfig
    max_num_tokens: None

    def __init__(self, config: LlamaGenVqConfig) -> None:
        super().__init__()
        self.config = config
        self.max_num_tokens = None
        conv = config.conv
        self.pixels = conv.pixels
        self.encoder = ConvEncoder(conv)
        self.to_codes = nn.Conv2d(config.latent_width, config.codebook_dim, 1)
        self.quantizer = MultiCodebookQuantizer(
            config.codebook_dim,
            1,
            config.codebook_size,
            init=config.codebook_init,
            revive_after=config.revive_after,
            warmup_steps=config.quantizer_warmup,
            normalised=True,
        )
        self.codebook_sizes = self.quantizer.codebook_sizes
        self.from_codes = nn.Conv2d(config.codebook_dim, config.latent_width, 1)
        self.decoder = ConvDecoder(conv)

    def grid(self, size: Size) -> Size:
        """Return the rows and columns of tokens that images of `size` have.

        Raises:
            ResolutionError: squares of `pixels` do not tile the images.
        """
        if size[0] % self.pixels or size[1] % self.pixels or min(size) < self.pixels:
            raise ResolutionError(
                f"squares of {self.pixels} pixels do not tile {size[0]}x{size[1]};"
                f" the nearest size that they do is {nearest_tiling(size, self.pixels)}"
            )
        return size[0] // self.pixels, size[1] // self.pixels

    def num_tokens_at(self, size: Size) -> int:
        """Return how many tokens images of `size` have."""
        rows, columns = self.grid(size)
        return rows * columns

    def check(self, size: Size, num_tokens: int | None = None) -> None:
        """Raise a `ResolutionError` if images of `size` cannot be tiled, or have another number of tokens."""
        made = self.num_tokens_at(size)
        if num_tokens is not None and num_tokens != made:
            raise ResolutionError(
                f"{num_tokens} tokens asked for; this model makes one for each {self.pixels}x{self.pixels} pixels,"
                f" {made} for an image of {size[0]}x{size[1]}"
            )

    def _grid(self, size: Size, geometry: Geometry, asked: Size | None) -> Size:
        self.check(size, geometry.num_tokens)
        if asked is not None and asked != (self.pixels, self.pixels):
            raise ResolutionError(
                f"a patch of {asked[0]}x{asked[1]} asked for; this model's squares are fixed at {self.pixels}"
            )
        return self.grid(size)

    def encode(
        self, images: Float[Tensor, "batch 3 height width"], geometry: Geometry = Geometry()
    ) -> Float[Tensor, "batch tokens channels"]:
        """Return latents row by row, before they are normalised and quantised."""
        self._grid((images.shape[2], images.shape[3]), geometry, geometry.encoder_patch)
        return self.to_codes(self.encoder(2 * images - 1)).flatten(2).transpose(1, 2)

    def quantize(self, latents: Float[Tensor, "batch tokens channels"]) -> QuantizerOutput:
        """Return the quantised latents, codes and loss."""
        return self.quantizer(latents)

    def lookup(self, indices: Int[Tensor, "batch num_codebooks tokens"]) -> Float[Tensor, "batch tokens channels"]:
        """Return the quantised latents that codes stand for."""
        return self.quantizer.lookup(indices)

    def decode(
        self, z_q: Float[Tensor, "batch tokens channels"], size: Size, geometry: Geometry = Geometry()
    ) -> Float[Tensor, "batch 3 height width"]:
        """Return images of `size`, not clamped.

        Raises:
            ResolutionError: these are not the latents of images of `size`.
        """
        rows, columns = self._grid(size, geometry, geometry.decoder_patch)
        if z_q.shape[1] != rows * columns:
            raise ResolutionError(
                f"{z_q.shape[1]} tokens cannot be decoded to {size[0]}x{size[1]}, which has {rows * columns}:"
                " this model decodes at the size that it encoded"
            )
        maps = z_q.transpose(1, 2).unflatten(2, (rows, columns))
        return (self.decoder(self.from_codes(maps)) + 1) / 2
