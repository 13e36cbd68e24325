"""What each arm costs and sees, counted before anything runs, and in what the arms differ.

Arms that differ in arithmetic, parameters, tokens or images seen are not refused: `plan` and the report say so.

The FLOPs of training are an expectation: over the resolutions by their weights, over the tokenizer's own draws of
geometry (`NUM_DRAWS` of them, seeded), at the mean of the lengths drawn. Encoding and decoding are counted at
each geometry by torch's `FlopCounterMode` on the meta device, in milliseconds; quantising, whose distances that does
not see, by `vtbench.cost`. Forward and backward are taken as three forward passes; the networks of the losses are
left out, as they are the same in all arms.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from functools import partial

import torch
from torch import Tensor, nn

from vtbench.cost.compiler import without_compiler
from vtbench.cost.dispatch import plain_kernels
from vtbench.cost.flops import count_twin
from vtbench.cost.known_layers import KnownLayers
from vtbench.cost.tokenizer import num_parameters, training_flops
from vtbench.cost.tracing import known_kernels
from vtbench.models.tokenizers.base import Geometry, Size, Tokenizer
from vtbench.schema.base import parse_resolution
from vtbench.schema.run import MixingConfig, NumTokensRange, RunConfig
from vtbench.schema.study import ArmFacts, StudyPlan
from vtbench.seeding import rng
from vtbench.study.meta import build_on_meta

NUM_DRAWS = 32
"""Draws of a training step's geometry for each pair of input and target size."""

MOST_NAMED = 12
"""Points that a sentence about differences names one by one."""

_COUNTS: dict[tuple[Hashable, ...], float] = {}
"""FLOPs by tokenizer and piece of work."""
_LAYERS = KnownLayers()

_READ: Mapping[str, Callable[[ArmFacts], float]] = {
    "training FLOPs": lambda facts: facts.training_flops,
    "parameters": lambda facts: facts.num_parameters,
    "images seen": lambda facts: facts.images_seen,
    "steps": lambda facts: facts.steps,
}


def facts(plan: StudyPlan) -> tuple[ArmFacts, ...]:
    """Return the facts of each arm at each point of the axes, in the plan's order.

    Raises:
        ResolutionError: a training size or length that an arm cannot handle.
        CostError: an arm's quantiser does something that cannot be counted.
    """
    with without_compiler():
        return tuple(_facts(plan))


def _facts(plan: StudyPlan) -> Iterator[ArmFacts]:
    counted: dict[str, tuple[int, int, float]] = {}
    for cell in plan.cells:
        if cell.seed != plan.seeds[0]:
            continue
        config = plan.runs[cell.run_id].config
        key = config.model_dump_json(include={"tokenizer": True, "mixing": True, "train": {"num_tokens"}})
        if key not in counted:
            model = build_on_meta(config.tokenizer)
            counted[key] = num_parameters(model), model.max_num_tokens, _forward_flops(model, config)
        parameters, full_length, forward = counted[key]
        images = config.train.steps * config.train.batch_size
        lengths = config.train.num_tokens
        yield ArmFacts(
            arm=cell.arm,
            coordinates=cell.coordinates,
            num_parameters=parameters,
            training_flops=training_flops(forward, images),
            images_seen=images,
            steps=config.train.steps,
            num_tokens=str(full_length) if lengths is None else _lengths_text(lengths),
        )


def differences(facts: Sequence[ArmFacts]) -> list[str]:
    """Return a sentence for each quantity in which the arms differ, relative to the first; none without facts.

    Of more than `MOST_NAMED` points the first, the least and the most are named.
    """
    sentences = []
    for name, read in _READ.items():
        values = [read(one) for one in facts]
        if facts and max(values) > 1.005 * min(values):
            ends = sorted(facts, key=read)
            named = facts if len(facts) <= MOST_NAMED else [facts[0], ends[0], ends[-1]]
            shares = ", ".join(f"{_label(one)} {read(one) / values[0]:.2f}x" for one in named)
            sentences.append(f"Arms differ in {name}: {shares}.")
    if len({one.num_tokens for one in facts}) > 1:
        of_each = {one.num_tokens: _label(one) for one in reversed(facts)} if len(facts) > MOST_NAMED else None
        pairs = of_each.items() if of_each is not None else [(one.num_tokens, _label(one)) for one in facts]
        shares = ", ".join(f"{label} {length}" for length, label in pairs)
        sentences.append(f"Arms differ in the number of tokens: {shares}.")
    return sentences


def _lengths_text(lengths: NumTokensRange) -> str:
    text = f"{lengths.min}-{lengths.max}" if lengths.min < lengths.max else str(lengths.min)
    how = [word for word in (lengths.draw, f"per {lengths.per}") if word not in ("uniform", "per batch")]
    return f"{text} ({', '.join(how)})" if how else text


def _label(facts: ArmFacts) -> str:
    point = ", ".join(f"{path.rpartition('.')[2]}={value}" for path, value in facts.coordinates.items())
    return f"{facts.arm} ({point})" if point else facts.arm


def _forward_flops(model: Tokenizer, config: RunConfig) -> float:
    """Return the expected FLOPs of one training image's forward pass."""
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
        latents = model.encode_uncut(torch.empty(1, 3, *size, device="meta"), next(iter(encodes))[1])
        z_q = model.quantize(latents).z_q
        total = _once(config, ("quantize", latents.shape), lambda: count_twin(_Quantize(model).eval(), latents).flops)
        for (size, geometry), share in encodes.items():
            images = torch.empty(1, 3, *size, device="meta")
            encode = partial(model.encode_uncut, images, geometry)
            total += share * _once(config, ("encode", size, geometry), partial(_LAYERS.flops, model, encode))
        for (size, geometry), share in decodes.items():
            decode = partial(model.decode, z_q, size, geometry)
            total += share * _once(config, ("decode", z_q.shape, size, geometry), partial(_LAYERS.flops, model, decode))
    return total


def _once(config: RunConfig, work: tuple[Hashable, ...], count: Callable[[], float]) -> float:
    """Return a count that is made once in a process: studies have arms, and arms have tokenizers, in common."""
    key = (config.tokenizer.model_dump_json(), *work)
    if key not in _COUNTS:
        _COUNTS[key] = float(count())
    return _COUNTS[key]


def _mean_length(lengths: NumTokensRange) -> int:
    """Return the mean length, rounded down; a rounding error must not take a whole one off."""
    return int(sum(length * share for length, share in lengths.probabilities().items()) + 1e-9)


def size_pairs(mixing: MixingConfig) -> dict[tuple[Size, Size], float]:
    """Return the (input, target) sizes of training with their probabilities."""
    inputs = _shares(mixing.inputs)
    if mixing.targets is None:
        return {(size, size): share for size, share in inputs.items()}
    targets = _shares(mixing.targets)
    return {(a, b): p * q for a, p in inputs.items() for b, q in targets.items()}


def _shares(weights: Mapping[str, float]) -> dict[Size, float]:
    total = sum(weights.values())
    return {parse_resolution(name): weight / total for name, weight in weights.items()}


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
