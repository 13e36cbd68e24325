"""What the harness asks of a tokenizer.

Training, evaluation and cost see nothing else of a model; a new tokenizer is one file that derives from `Tokenizer`
and one row in `vtbench.models.tokenizers.TOKENIZERS`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from jaxtyping import Float, Int
from torch import Tensor, nn

from vtbench.models.quantizers.output import QuantizerOutput
from vtbench.schema.base import Frozen

Size = tuple[int, int]
"""Height and width, in pixels or in patches."""


@dataclass(frozen=True, kw_only=True)
class Geometry:
    """Choices that an adaptive tokenizer leaves open; None means the tokenizer's own rule for inference.

    Attributes:
        num_tokens: number of latents L.
        encoder_patch: patch height and width in pixels in the encoder.
        decoder_patch: the same in the decoder; decides its lattice.
    """

    num_tokens: int | None = None
    encoder_patch: Size | None = None
    decoder_patch: Size | None = None


@dataclass(frozen=True, kw_only=True)
class TokenizerOutput:
    """A reconstruction (in [0, 1] up to overshoot, not clamped) and the quantizer's output behind it."""

    reconstruction: Float[Tensor, "batch 3 height width"]
    quantizer: QuantizerOutput


class Tokenizer(nn.Module, ABC):
    """An image tokenizer: images -> latents -> codes -> images.

    Images are float in [0, 1], RGB. A subclass nests its options in `Config` and takes one as its only argument.
    """

    Config: ClassVar[type[Frozen]]
    max_num_tokens: int
    codebook_sizes: tuple[int, ...] | None = None
    """Number of entries of each codebook; None where a quantizer has no such number."""

    @abstractmethod
    def encode(
        self, images: Float[Tensor, "batch 3 height width"], geometry: Geometry = Geometry()
    ) -> Float[Tensor, "batch tokens channels"]:
        """Return continuous latents, before quantisation.

        Raises:
            ResolutionError: the patch cannot tile the images, or there are not so many tokens.
        """

    @abstractmethod
    def quantize(self, latents: Float[Tensor, "batch tokens channels"]) -> QuantizerOutput:
        """Return the quantised latents, codes and loss."""

    @abstractmethod
    def lookup(self, indices: Int[Tensor, "batch num_codebooks tokens"]) -> Float[Tensor, "batch tokens channels"]:
        """Return the quantised latents that codes stand for."""

    @abstractmethod
    def decode(
        self, z_q: Float[Tensor, "batch tokens channels"], size: Size, geometry: Geometry = Geometry()
    ) -> Float[Tensor, "batch 3 height width"]:
        """Return images of `size` (height, width in pixels), not clamped."""

    @abstractmethod
    def check(self, size: Size, num_tokens: int | None = None) -> None:
        """Raise a `ResolutionError` if images of `size` or this number of tokens cannot be handled."""

    def draw_geometry(
        self, rng: np.random.Generator, input_size: Size, target_size: Size, num_tokens: int | None
    ) -> Geometry:
        """Draw one training step's geometry; the default leaves all but the length to the rule for inference."""
        return Geometry(num_tokens=num_tokens)

    def forward(
        self,
        images: Float[Tensor, "batch 3 height width"],
        target_size: Size | None = None,
        geometry: Geometry = Geometry(),
    ) -> TokenizerOutput:
        """Encode, quantise and decode to `target_size` (default: the images' own)."""
        quantizer = self.quantize(self.encode(images, geometry))
        size = target_size or (images.shape[-2], images.shape[-1])
        return TokenizerOutput(reconstruction=self.decode(quantizer.z_q, size, geometry), quantizer=quantizer)

    def tokenize(
        self, images: Float[Tensor, "batch 3 height width"], geometry: Geometry = Geometry()
    ) -> Int[Tensor, "batch num_codebooks tokens"]:
        """Return the codes of images."""
        return self.quantize(self.encode(images, geometry)).indices

    def detokenize(
        self, indices: Int[Tensor, "batch num_codebooks tokens"], size: Size, geometry: Geometry = Geometry()
    ) -> Float[Tensor, "batch 3 height width"]:
        """Return images of `size` from codes, not clamped."""
        return self.decode(self.lookup(indices), size, geometry)
