"""A data set's images and what a tokenizer makes of them, as the source of a pass."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from jaxtyping import Float, Int, UInt8
from torch import Tensor
from torch.nn import functional as F

from vtbench.data.dataset import ImageDataset, Size
from vtbench.errors import ResolutionError, TrainingError
from vtbench.evaluate.one_pass import Source
from vtbench.evaluate.perturbation import perturbed
from vtbench.evaluate.protocol import to_uint8
from vtbench.schema.base import parse_resolution
from vtbench.schema.study import Route

Reconstruct = Callable[[Float[Tensor, "batch 3 height width"], int | None], Float[Tensor, "batch 3 height width"]]
"""(images in [0, 1] on the CPU, number of tokens or None for all) -> reconstructions of that shape, on any device."""


@dataclass(frozen=True)
class Codec:
    """A tokenizer in two halves; one after the other they are its `Reconstruct`.

    Attributes:
        tokenize: (images in [0, 1] on the CPU, number of tokens or None) -> codes, (batch, codebooks, tokens).
        detokenize: (codes, size, number of tokens or None) -> images, (batch, 3, height, width).
        lookup: codes -> quantised latents, (batch, tokens, channels).
        codebook_sizes: () -> number of entries of each codebook; None if the quantizer has no such number.
    """

    tokenize: Callable[[Tensor, int | None], Tensor]
    detokenize: Callable[[Tensor, Size, int | None], Tensor]
    lookup: Callable[[Tensor], Tensor]
    codebook_sizes: Callable[[], tuple[int, ...] | None]


def decoded_along(route: Route, codec: Codec, codes: Tensor, num_tokens: int | None) -> Tensor:
    """Return the images, (batch, 3, height, width), that a route makes of codes."""
    made = codec.detokenize(codes, parse_resolution(route.decode), num_tokens)
    if route.decode == route.resolution:
        return made
    size = parse_resolution(route.resolution)
    return F.interpolate(made.float(), size=size, mode=route.resize, align_corners=False, antialias=True)


class Reconstructions(Source):
    """Images of a data set, and their reconstructions, at one resolution and length.

    Args:
        reconstruct: the model.
        dataset: the images.
        indices: which of them, in which order.
        size: height and width in pixels.
        num_tokens: length; None for the model's own.
        batch_size: images a forward pass.
        about: what decides the reconstructions.
        codec: the model in two halves; without it there are no codes.
        route: how the reconstructions come to `size`, if not by encoding and decoding at it; needs the codec.
    """

    paired = True

    def __init__(
        self,
        reconstruct: Reconstruct,
        dataset: ImageDataset,
        indices: Sequence[int],
        size: Size,
        num_tokens: int | None,
        batch_size: int,
        about: dict[str, Any],
        codec: Codec | None = None,
        route: Route | None = None,
    ) -> None:
        assert route is None or codec is not None
        self._reconstruct, self._codec, self._route = reconstruct, codec, route
        self._dataset, self._indices, self._num_tokens = dataset, list(indices), num_tokens
        self.size, self.batch_size, self.about = size, batch_size, about
        self.num_reference = self.num_produced = len(self._indices)

    def codebook_sizes(self) -> tuple[int, ...] | None:
        """Return the codec's."""
        return None if self._codec is None else self._codec.codebook_sizes()

    def reference(self, positions: range) -> UInt8[Tensor, "batch 3 height width"]:
        """Return images of the data set."""
        return self._dataset.images([self._indices[position] for position in positions], self.size)

    def latents(self, codes: Int[Tensor, "batch codebooks tokens"]) -> Float[Tensor, "batch tokens channels"]:
        """Return the codec's."""
        assert self._codec is not None
        return self._codec.lookup(codes)

    def labels(self, positions: range) -> Int[Tensor, " batch"]:
        """Return the data set's labels."""
        return torch.from_numpy(self._dataset.labels[[self._indices[position] for position in positions]])

    @torch.no_grad()
    def produced(
        self, positions: range, reference: UInt8[Tensor, "pairs 3 height width"], perturb: float, with_codes: bool
    ) -> tuple[UInt8[Tensor, "batch 3 height width"], Int[Tensor, "batch codebooks tokens"] | None]:
        """Return reconstructions.

        Raises:
            ResolutionError: the model returned another shape.
            TrainingError: a reconstruction holds NaN or infinite values.
        """
        if self._route is not None:
            return self._produced_along(self._route, positions, reference, perturb)
        images = reference.float() / 255
        if self._codec is None or not (perturb or with_codes):
            return checked_uint8(self._reconstruct(images, self._num_tokens), images.shape, self._num_tokens), None
        codes = self._codec.tokenize(images, self._num_tokens)
        codes = self._perturbed(codes, perturb, positions)
        found = self._codec.detokenize(codes, self.size, self._num_tokens)
        return checked_uint8(found, images.shape, self._num_tokens), codes

    def _produced_along(
        self, route: Route, positions: range, reference: Tensor, perturb: float
    ) -> tuple[UInt8[Tensor, "batch 3 height width"], Int[Tensor, "batch codebooks tokens"]]:
        assert self._codec is not None
        indices = [self._indices[position] for position in positions]
        images = self._dataset.images(indices, parse_resolution(route.input)).float() / 255
        codes = self._perturbed(self._codec.tokenize(images, self._num_tokens), perturb, positions)
        found = decoded_along(route, self._codec, codes, self._num_tokens)
        return checked_uint8(found, reference.shape, self._num_tokens), codes

    def _perturbed(self, codes: Tensor, perturb: float, positions: range) -> Tensor:
        if not perturb:
            return codes
        sizes = self.codebook_sizes()
        assert sizes is not None
        return perturbed(codes, perturb, sizes, [self._indices[position] for position in positions])


def checked_uint8(
    produced: Tensor, shape: tuple[int, ...], num_tokens: int | None, what: str = "reconstructions"
) -> UInt8[Tensor, "batch 3 height width"]:
    """Return images in [0, 1] as uint8; `what` is what messages call them.

    Raises:
        ResolutionError: they do not have the images' `shape`.
        TrainingError: they hold NaN or infinite values.
    """
    where = f"at {shape[-2]}x{shape[-1]}, {num_tokens or 'all'} tokens"
    if produced.shape != shape:
        raise ResolutionError(f"The {what} {where} have shape {tuple(produced.shape)}, not {shape}.")
    if not produced.isfinite().all():
        raise TrainingError(f"The {what} {where} hold NaN or infinite values: the training has diverged.")
    return to_uint8(produced.float())
