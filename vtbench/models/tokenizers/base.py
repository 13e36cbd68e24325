"""What the harness asks of a tokenizer.

Training, evaluation and cost see nothing else of a model; a new tokenizer is one file that derives from `Tokenizer`
and one row in `vtbench.models.tokenizers.TOKENIZERS`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
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
        lengths: number of latents of each image of a batch in training, for tokenizers with `lengths_per_sample`. What
            an image's are is no part of the comparison of two geometries.
        encoder_patch: patch height and width in pixels in the encoder.
        decoder_patch: the same in the decoder; decides its lattice.
    """

    num_tokens: int | None = None
    lengths: Int[Tensor, " batch"] | None = field(default=None, compare=False)
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
    max_num_tokens: int | None
    """Most tokens that can be asked for; None where their number follows from the image's size."""
    codebook_sizes: tuple[int, ...] | None = None
    """Number of entries of each codebook; None where a quantizer has no such number."""
    lengths_per_sample = False
    """Whether the images of a training batch may differ in their number of latents (`Geometry.lengths`)."""

    @abstractmethod
    def encode(
        self, images: Float[Tensor, "batch 3 height width"], geometry: Geometry = Geometry()
    ) -> Float[Tensor, "batch tokens channels"]:
        """Return continuous latents, before quantisation.

        Raises:
            ResolutionError: the patch cannot tile the images, or there are not so many tokens.
        """

    def encode_uncut(
        self, images: Float[Tensor, "batch 3 height width"], geometry: Geometry = Geometry()
    ) -> Float[Tensor, "batch tokens channels"]:
        """Return the latents that a training step quantises, those that `decode` drops later included.

        They are those of `encode`, unless the tokenizer learns several lengths by dropping latents.
        """
        return self.encode(images, geometry)

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
        """Return images of `size` (height, width in pixels), not clamped.

        Latents beyond the geometry's number are dropped, where the tokenizer made more than that (`encode_uncut`).
        """

    @abstractmethod
    def check(self, size: Size, num_tokens: int | None = None) -> None:
        """Raise a `ResolutionError` if images of `size` or this number of tokens cannot be handled."""

    def num_tokens_at(self, size: Size) -> int:
        """Return how many tokens images of `size` have when no number is asked for.

        Raises:
            ResolutionError: images of `size` cannot be handled.
        """
        assert self.max_num_tokens is not None
        return self.max_num_tokens

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
        quantizer = self.quantize(self.encode_uncut(images, geometry))
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
