"""The parts of a model's work as modules of tensors, which is what counters take.

Each has the model as `model`, so the modules of a count are those of the model after `model.`. Everything that a part
computes must be returned, or the tracer drops it; what depends on no input gets an anchor, or the tracer refuses it.
"""

from __future__ import annotations

from typing import Any

import torch
from jaxtyping import Float, Int
from torch import Tensor, nn

from vtbench.models.generators.base import Condition, Generator
from vtbench.models.quantizers.output import QuantizerOutput
from vtbench.models.tokenizers.base import Geometry, Size, Tokenizer


class Encode(nn.Module):
    """Images to latents."""

    def __init__(self, model: Tokenizer, geometry: Geometry) -> None:
        super().__init__()
        self.model, self.geometry = model, geometry

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> Float[Tensor, "batch tokens channels"]:
        """Return latents before quantisation."""
        return self.model.encode(images, self.geometry)


class Quantize(nn.Module):
    """Latents to quantised latents and codes."""

    def __init__(self, model: Tokenizer) -> None:
        super().__init__()
        self.model = model

    def forward(self, latents: Float[Tensor, "batch tokens channels"]) -> tuple[Tensor, ...]:
        """Return quantised latents, codes, loss and statistics."""
        return _anchored(self.model.quantize(latents), latents)


class Decode(nn.Module):
    """Quantised latents to images of one size."""

    def __init__(self, model: Tokenizer, size: Size, geometry: Geometry) -> None:
        super().__init__()
        self.model, self.size, self.geometry = model, size, geometry

    def forward(self, z_q: Float[Tensor, "batch tokens channels"]) -> Float[Tensor, "batch 3 height width"]:
        """Return images."""
        return self.model.decode(z_q, self.size, self.geometry)


class Reconstruct(nn.Module):
    """Images to images: one training step's forward pass, without the losses on images."""

    def __init__(self, model: Tokenizer, geometry: Geometry) -> None:
        super().__init__()
        self.model, self.geometry = model, geometry

    def forward(self, images: Float[Tensor, "batch 3 height width"]) -> tuple[Tensor, ...]:
        """Return reconstructions, then what the quantiser returns."""
        output = self.model(images, geometry=self.geometry)
        return (output.reconstruction, *_anchored(output.quantizer, images))


class Sequence(nn.Module):
    """A whole sequence at once: condition and all tokens.

    A head of one code a token is applied at every place, the last included, as the published counts of LlamaGen do; a
    head that goes through the codes of a token is applied where there is a token to predict.
    """

    def __init__(self, model: Generator) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, indices: Int[Tensor, "batch num_codebooks tokens"], *condition: Any
    ) -> Float[Tensor, "batch positions num_codebooks codebook_size"]:
        """Return logits; `condition` is labels, heights and widths."""
        hidden = self.model.hidden(indices, _condition(*condition))
        if self.model.num_codebooks == 1:
            return self.model.logits(hidden)
        return self.model.logits(hidden[:, :-1], indices)


class Predict(nn.Module):
    """One training step's forward pass: the logits of every token."""

    def __init__(self, model: Generator) -> None:
        super().__init__()
        self.model = model

    def forward(
        self, indices: Int[Tensor, "batch num_codebooks tokens"], *condition: Any
    ) -> Float[Tensor, "batch tokens num_codebooks codebook_size"]:
        """Return logits; `condition` is labels, heights and widths."""
        return self.model(indices, _condition(*condition))


class Prefill(nn.Module):
    """The condition, written to a new cache."""

    def __init__(self, model: Generator, num_tokens: int) -> None:
        super().__init__()
        self.model, self.num_tokens = model, num_tokens

    def forward(self, *condition: Any) -> Float[Tensor, "batch 1 width"]:
        """Return the trunk's output; `condition` is labels, heights and widths."""
        cache = self.model.new_cache(len(condition[0]), self.num_tokens)
        return self.model.prefill(_condition(*condition), cache)


class Step(nn.Module):
    """One token at `position` with all before it in the cache."""

    def __init__(self, model: Generator, num_tokens: int, position: int) -> None:
        super().__init__()
        self.model, self.num_tokens, self.position = model, num_tokens, position

    def forward(self, indices: Int[Tensor, "batch num_codebooks 1"]) -> Float[Tensor, "batch 1 width"]:
        """Return the trunk's output."""
        return self.model.step(indices, self.position, self.model.new_cache(len(indices), self.num_tokens))


class Head(nn.Module):
    """From the trunk's output to one token, code by code."""

    def __init__(self, model: Generator) -> None:
        super().__init__()
        self.model = model

    def forward(self, hidden: Float[Tensor, "batch 1 width"]) -> Int[Tensor, "batch num_codebooks 1"]:
        """Return the likeliest codes."""
        return self.model.sample_token(hidden, lambda logits: logits.argmax(-1))


def conditions(batch: int) -> tuple[Tensor, Tensor, Tensor]:
    """Return labels, heights and widths of a batch on the meta device."""
    with torch.device("meta"):
        return torch.empty(batch, dtype=torch.int64), torch.empty(batch), torch.empty(batch)


def _condition(labels: Tensor, height: Tensor, width: Tensor) -> Condition:
    return Condition(labels=labels, height=height, width=width)


def _anchored(output: QuantizerOutput, anchor: Tensor) -> tuple[Tensor, ...]:
    zero = 0 * anchor.sum()
    return tuple(result + zero for result in (output.z_q, output.indices, output.loss, *output.stats.values()))
