"""What each arm costs and sees, counted before anything runs, and in what the arms differ.

Arms that differ in arithmetic, parameters, tokens or images seen are not refused: `plan` and the report say so.

The FLOPs of training are an expectation: over the resolutions by their weights, over the tokenizer's own draws of
geometry (`NUM_DRAWS` of them, seeded), at the mean of the lengths drawn. Encoding and decoding are counted at
each geometry by torch's `FlopCounterMode` on the meta device, in milliseconds; quantising, whose distances that does
not see, by `vtbench.cost`. Forward and backward are taken as three forward passes; the networks of the losses are
left out, as they are the same in all arms. Of an arm with a generator the figures are the generator's, and those of its
tokenizer stand apart.
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
from vtbench.models.generators.base import Condition, Generator
from vtbench.models.tokenizers.base import Geometry, Size, Tokenizer
from vtbench.schema.base import parse_resolution
from vtbench.schema.run import GeneratorConfig, MixingConfig, NumTokensRange, RunConfig
from vtbench.schema.study import ArmFacts, Cell, StudyPlan
from vtbench.seeding import rng
from vtbench.study.meta import build_on_meta, generator_on_meta

NUM_DRAWS = 32
"""Draws of a training step's geometry for each pair of input and target size."""

MOST_NAMED = 12
"""Points that a sentence about differences names one by one."""

_COUNTS: dict[tuple[Hashable, ...], float] = {}
"""FLOPs by model and piece of work."""
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
    counted: dict[str, ArmFacts] = {}
    for cell in plan.cells:
        if cell.seed != plan.seeds[0]:
            continue
        config = plan.runs[cell.run_id].config
        key = config.model_dump_json()
        if key not in counted:
            tokenizer = _tokenizer_facts(cell, config)
            generator = config.generator
            counted[key] = tokenizer if generator is None else _generator_facts(generator, tokenizer)
        yield counted[key].model_copy(update={"arm": cell.arm, "coordinates": cell.coordinates})


def _tokenizer_facts(cell: Cell, config: RunConfig) -> ArmFacts:
    model = build_on_meta(config.tokenizer)
    images, lengths = config.train.steps * config.train.batch_size, config.train.num_tokens
    # arms differ in their training more often than in what an image costs
    part = config.model_dump_json(include={"tokenizer": True, "mixing": True, "train": {"num_tokens"}})
    forward = _counted((part,), lambda: _forward_flops(model, config))
    return ArmFacts(
        arm=cell.arm,
        coordinates=cell.coordinates,
        num_parameters=num_parameters(model),
        training_flops=training_flops(forward, images),
        images_seen=images,
        steps=config.train.steps,
        num_tokens=_full_lengths(model, config) if lengths is None else _lengths_text(lengths),
    )


def _generator_facts(config: GeneratorConfig, tokenizer: ArmFacts) -> ArmFacts:
    """Return what a generator's training costs, with that of its tokenizer beside it."""
    model, images = generator_on_meta(config.model), config.train.steps * config.train.batch_size
    forward = _counted((config.model.model_dump_json(),), lambda: _generator_flops(model))
    own = {
        "num_parameters": num_parameters(model),
        "training_flops": training_flops(forward, images),
        "images_seen": images,
        "steps": config.train.steps,
        "num_tokens": str(model.max_num_tokens),
        "tokenizer_parameters": tokenizer.num_parameters,
        "tokenizer_flops": tokenizer.training_flops,
    }
    return tokenizer.model_copy(update=own)


def _generator_flops(model: Generator) -> float:
    """Return the FLOPs of a training image's forward pass."""
    codes = torch.empty(1, model.num_codebooks, model.max_num_tokens, dtype=torch.int64, device="meta")
    label, side = torch.empty(1, dtype=torch.int64, device="meta"), torch.empty(1, device="meta")
    condition = Condition(labels=label, height=side, width=side)
    with torch.no_grad(), plain_kernels(), known_kernels():
        return float(_LAYERS.flops(model, partial(model, codes, condition)))


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


def _full_lengths(model: Tokenizer, config: RunConfig) -> str:
    """Return the number of tokens of training images, or the least and the most where their sizes decide."""
    found = {model.num_tokens_at(source) for source, _ in size_pairs(config.mixing)}
    return str(*found) if len(found) == 1 else f"{min(found)}-{max(found)}"


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
    return _counted((config.tokenizer.model_dump_json(), *work), count)


def _counted(key: tuple[Hashable, ...], count: Callable[[], float]) -> float:
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
