"""FLOPs of a training image's forward pass, as an expectation over what training draws.

Over the resolutions by their weights, over the tokenizer's own draws of geometry (`NUM_DRAWS` of them, seeded), at the
mean of the lengths drawn. Encoding and decoding are counted at each geometry by torch's `FlopCounterMode` on the meta
device, in milliseconds; quantising, whose distances that does not see, by `vtbench.cost`. The networks of the losses
are left out, as they are the same in all arms.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable
from functools import partial

import torch
from torch import Tensor, nn

from vtbench.cost.compiler import without_compiler
from vtbench.cost.dispatch import plain_kernels
from vtbench.cost.flops import count_twin
from vtbench.cost.known_layers import KnownLayers
from vtbench.cost.tracing import known_kernels
from vtbench.models.generators.base import Condition, Generator
from vtbench.models.tokenizers.base import Geometry, Size, Tokenizer
from vtbench.schema.run import NumTokensRange, RunConfig
from vtbench.seeding import rng
from vtbench.study.sizes import size_pairs

NUM_DRAWS = 32
"""Draws of a training step's geometry for each pair of input and target size."""

_COUNTS: dict[tuple[Hashable, ...], float] = {}
"""FLOPs by model and piece of work."""
_LAYERS = KnownLayers()


def tokenizer_flops(model: Tokenizer, config: RunConfig) -> float:
    """Return the expected FLOPs of one training image's forward pass through its tokenizer.

    Raises:
        ResolutionError: a training size or length that it cannot handle.
        CostError: its quantiser does something that cannot be counted.
    """
    with without_compiler():
        return _forward_flops(model, config)


def generator_flops(model: Generator) -> float:
    """Return the FLOPs of one training image's forward pass through a generator, at its full length."""
    codes = torch.empty(1, model.num_codebooks, model.max_num_tokens, dtype=torch.int64, device="meta")
    label, side = torch.empty(1, dtype=torch.int64, device="meta"), torch.empty(1, device="meta")
    condition = Condition(labels=label, height=side, width=side)
    with without_compiler(), torch.no_grad(), plain_kernels(), known_kernels():
        return float(_LAYERS.flops(model, partial(model, codes, condition)))


def _forward_flops(model: Tokenizer, config: RunConfig) -> float:
    lengths = config.train.num_tokens
    # images with lengths of their own go through the model at full length
    num_tokens = None if lengths is None or lengths.per == "sample" else _mean_length(lengths)
    encodes: defaultdict[tuple[Size, Geometry], float] = defaultdict(float)
    decodes: defaultdict[tuple[Size, Geometry], float] = defaultdict(float)
    draw = rng(0, "fairness")
    pairs = size_pairs(config.mixing)
    for (source, target), weight in pairs.items():
        for _ in range(NUM_DRAWS):
            geometry = model.draw_geometry(draw, source, target, num_tokens)
            encodes[source, _part(geometry, encoder=True)] += weight / NUM_DRAWS
            decodes[target, _part(geometry, encoder=False)] += weight / NUM_DRAWS
    size = next(iter(encodes))[0]
    with torch.no_grad(), plain_kernels(), known_kernels():
        first = model.encode_uncut(torch.empty(1, 3, *size, device="meta"), next(iter(encodes))[1])

        def latents_at(size: Size) -> Tensor:
            return first if model.max_num_tokens else first.new_empty(1, model.num_tokens_at(size), first.shape[2])

        total = 0.0
        for (size, geometry), share in encodes.items():
            images, latents = torch.empty(1, 3, *size, device="meta"), latents_at(size)
            encode = partial(model.encode_uncut, images, geometry)
            total += share * _once(config, ("encode", size, geometry), partial(_LAYERS.flops, model, encode))
            quantize = partial(_quantize_flops, model, latents)
            total += share * _once(config, ("quantize", latents.shape), quantize)
        for (size, geometry), share in decodes.items():
            z_q = latents_at(size)
            decode = partial(model.decode, z_q, size, geometry)
            total += share * _once(config, ("decode", z_q.shape, size, geometry), partial(_LAYERS.flops, model, decode))
    return total


def _quantize_flops(model: Tokenizer, latents: Tensor) -> int:
    return count_twin(_Quantize(model).eval(), latents).flops


def _once(config: RunConfig, work: tuple[Hashable, ...], count: Callable[[], float]) -> float:
    """Return a count of a tokenizer's work, made once in a process: studies have arms, and these have tokenizers."""
    key = (config.tokenizer.model_dump_json(), *work)
    if key not in _COUNTS:
        _COUNTS[key] = float(count())
    return _COUNTS[key]


def _mean_length(lengths: NumTokensRange) -> int:
    """Return the mean length, rounded down; a rounding error must not take a whole one off."""
    return int(sum(length * share for length, share in lengths.probabilities().items()) + 1e-9)


def _part(geometry: Geometry, encoder: bool) -> Geometry:
    """Return the half of a geometry that one side uses, so that equal work is counted once."""
    if encoder:
        return Geometry(num_tokens=geometry.num_tokens, encoder_patch=geometry.encoder_patch)
    return Geometry(num_tokens=geometry.num_tokens, decoder_patch=geometry.decoder_patch)


class _Quantize(nn.Module):
    """The quantiser as a module of one tensor, for the counter."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        super().__init__()
        self.tokenizer = tokenizer

    def forward(self, latents: Tensor) -> tuple[Tensor, ...]:
        output = self.tokenizer.quantize(latents)
        # as the tracer drops what is not returned, and refuses what does not depend on the input
        anchor = 0 * latents.sum()
        return tuple(result + anchor for result in (output.z_q, output.indices, output.loss, *output.stats.values()))
