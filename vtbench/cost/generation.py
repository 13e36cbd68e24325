"""What an image of a trained generator costs: its tokens and its decoder, counted and measured, together and apart.

`gflops` and `seconds_per_image` are of both, `..._sampling` of the tokens, `..._decoder` of the tokenizer's decoder.
Counted is one image, by the convention `full`; guidance at any token counts as guidance at all of them, which is more
than an interval or a cosine that ends early takes. Measured is a batch, and what it takes is shared by its images.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial

import torch
from torch import Tensor

from vtbench.cost.calls import Decode
from vtbench.cost.estimates import num_parameters
from vtbench.cost.flops import count_twin, on_meta
from vtbench.cost.model_cost import count_sampling
from vtbench.cost.throughput import Throughput, device_words, measure
from vtbench.cost.tokenizer import Point, inference_geometry
from vtbench.models.generators.base import Generator
from vtbench.models.tokenizers.base import Size, Tokenizer
from vtbench.schema.base import parse_resolution
from vtbench.schema.convention import convention
from vtbench.schema.generation import GenerationPoint, Sampling
from vtbench.schema.record import MetricValue, protocol_fingerprint

_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class GenerationCost:
    """How a generator is measured.

    Attributes:
        generator: the model of the tokens.
        tokenizer: whose decoder makes the images.
        sample: (way of sampling, number of tokens or None) -> codes of one batch.
        decode: (codes, size, number of tokens or None) -> images of one batch.
        checkpoint: which weights these are; stored with the values.
        batch_size: images of a batch.
        repeats: how often each speed is measured.
        warmup: calls before that.
        device: where both work.
    """

    generator: Generator
    tokenizer: Tokenizer
    sample: Callable[[Sampling, int | None], Tensor]
    decode: Callable[[Tensor, Size, int | None], Tensor]
    checkpoint: str
    batch_size: int
    repeats: int = 5
    warmup: int = 1
    device: torch.device | None = None


def measure_generation(how: GenerationCost, points: Sequence[GenerationPoint]) -> Iterator[list[MetricValue]]:
    """Yield the cost at each point; what points share is counted and measured once.

    Raises:
        ResolutionError: a model cannot handle a size or a length.
        CostError: an operation of a model cannot be counted.
    """
    sampling: dict[tuple[int | None, bool], float] = {}
    decoder: dict[tuple[str, int | None], float] = {}
    sampled: dict[tuple[Sampling, int | None], Throughput] = {}
    decoded: dict[tuple[str, int | None], Throughput] = {}
    for point in points:
        length, size = point.num_tokens, parse_resolution(point.resolution)
        guided, place = point.sampling.cfg_scale != 1, (point.resolution, point.num_tokens)
        if (length, guided) not in sampling:
            sampling |= {(length, each): found for each, found in _sampling_gflops(how.generator, length).items()}
        if place not in decoder:
            decoder[place] = _decoder_gflops(how, size, length)
            decoded[place] = _decoder_speed(how, point)
        if (point.sampling, length) not in sampled:
            sampled[point.sampling, length] = _speed(how, partial(how.sample, point.sampling, length))
        counted = {"sampling": sampling[length, guided], "decoder": decoder[place]}
        taken = {"sampling": sampled[point.sampling, length], "decoder": decoded[place]}
        yield [_parameters(how), *_counted(how, point, counted), *_taken(how, point, taken)]


def _sampling_gflops(model: Generator, num_tokens: int | None) -> dict[bool, float]:
    """Return the GFLOPs of one image's tokens, guided or not."""
    full = convention("full")
    parts = {part.name: part for part in count_sampling(model, num_tokens or model.max_num_tokens)}
    return {
        guided: full.apply(full.macs(parts[name])) / 1e9
        for guided, name in ((False, "sampling"), (True, "sampling_cfg"))
    }


def _decoder_gflops(how: GenerationCost, size: Size, num_tokens: int | None) -> float:
    """Return the GFLOPs of decoding one image's tokens."""
    length = num_tokens or how.generator.max_num_tokens
    twin = on_meta(how.tokenizer).eval()
    with torch.no_grad():
        codes = torch.zeros(1, how.generator.num_codebooks, length, dtype=torch.int64, device="meta")
        latents = twin.lookup(codes)
    return count_twin(Decode(twin, size, inference_geometry(num_tokens, None)), latents).flops / 1e9


def _decoder_speed(how: GenerationCost, point: GenerationPoint) -> Throughput:
    codes, size = how.sample(point.sampling, point.num_tokens), parse_resolution(point.resolution)
    return _speed(how, lambda: how.decode(codes, size, point.num_tokens))


def _speed(how: GenerationCost, call: Callable[[], object]) -> Throughput:
    return measure(call, how.batch_size, how.repeats, how.warmup, how.device)


def _parameters(how: GenerationCost) -> MetricValue:
    return _value(how, "num_parameters", float(num_parameters(how.generator)), {}, {"counts": "the generator's"})


def _counted(how: GenerationCost, point: GenerationPoint, gflops: dict[str, float]) -> list[MetricValue]:
    params: Point = {**point.params, "convention": "full"}
    found = {"gflops": sum(gflops.values()), **{f"gflops_{name}": value for name, value in gflops.items()}}
    return [_value(how, name, value, params, {"counts": "sampling, decode"}) for name, value in found.items()]


def _taken(how: GenerationCost, point: GenerationPoint, speeds: dict[str, Throughput]) -> list[MetricValue]:
    protocol: dict[str, str | int] = {"batch_size": how.batch_size, "repeats": how.repeats, "warmup": how.warmup}
    protocol["machine"] = device_words(how.device)
    parts = {name: _seconds(speed) for name, speed in speeds.items()}
    median, fastest, slowest = (sum(column) for column in zip(*parts.values(), strict=True))
    found = {
        "seconds_per_image": (median, fastest, slowest),
        **{f"seconds_per_image_{name}": part for name, part in parts.items()},
    }
    values = []
    for name, (middle, low, high) in found.items():
        value = _value(how, name, middle, point.params, protocol, deterministic=False)
        values.append(value.model_copy(update={"interval": (low, high), "num_samples": how.batch_size}))
    return values


def _seconds(speed: Throughput) -> tuple[float, float, float]:
    """Return median, fastest and slowest seconds an image."""
    slow, fast = speed.spread
    return 1 / speed.images_per_second, 1 / fast, 1 / slow


def _value(
    how: GenerationCost,
    name: str,
    value: float,
    params: Point,
    protocol: dict[str, str | int],
    deterministic: bool = True,
) -> MetricValue:
    return MetricValue(
        name=name,
        metric_version=_VERSION,
        value=value,
        num_samples=1,
        params=params,
        protocol=protocol_fingerprint(dict(protocol)),
        checkpoint=how.checkpoint,
        deterministic=deterministic,
    )
