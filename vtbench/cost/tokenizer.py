"""What a tokenizer costs: counted arithmetic and parameters, measured speed and memory.

Encoding, quantising and decoding are counted apart, for one image, with the geometry that the tokenizer chooses at
inference.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor, nn

from vtbench.cost.calls import Decode, Encode, Quantize
from vtbench.cost.estimates import num_parameters
from vtbench.cost.flops import FlopCount, count_twin, on_meta
from vtbench.cost.memory import peak_memory_bytes, reset_peak_memory
from vtbench.cost.throughput import Throughput, device_words, measure
from vtbench.models.tokenizers.base import Geometry, Size, Tokenizer
from vtbench.schema.record import MetricValue, protocol_fingerprint

Point = dict[str, str | int | float | None]
"""Where a value was taken: resolution and number of tokens."""
Protocol = dict[str, str | int]
"""How a value was taken, before it becomes a fingerprint."""

_VERSION = 1


@dataclass(frozen=True, kw_only=True)
class TokenizerCost:
    """Cost of one batch at one size and length."""

    encode: FlopCount
    quantize: FlopCount
    decode: FlopCount
    num_parameters: int

    @property
    def macs(self) -> int:
        """Multiply-accumulates of encoding, quantising and decoding."""
        return self.encode.macs + self.quantize.macs + self.decode.macs

    @property
    def gflops(self) -> float:
        """The same in 10^9 FLOPs under the convention `full`."""
        return (self.encode.flops + self.quantize.flops + self.decode.flops) / 1e9


def count_tokenizer(
    model: Tokenizer,
    size: Size,
    num_tokens: int | None = None,
    patch: int | None = None,
    batch_size: int = 1,
    decode_size: Size | None = None,
) -> TokenizerCost:
    """Count one batch, for a model on any device; one built under `torch.device("meta")` needs no memory.

    Args:
        model: not touched.
        size: height and width of input and output, in pixels.
        num_tokens: length; None means the model's full length.
        patch: side of the patch in encoder and decoder, in pixels; None means the model's own rule.
        batch_size: images.
        decode_size: height and width of the output where it is another one, in pixels.

    Raises:
        ResolutionError: the model cannot handle this size, length or patch.
        CostError: an operation of the model cannot be counted.
    """
    geometry = inference_geometry(num_tokens, patch)
    if patch is None:
        model.check(size, num_tokens)
        model.check(decode_size or size, num_tokens)
    twin = on_meta(model).eval()
    images = torch.empty(batch_size, 3, *size, device="meta")
    with torch.no_grad():
        latents = twin.encode(images, geometry)
        z_q = twin.quantize(latents).z_q
    return TokenizerCost(
        encode=count_twin(Encode(twin, geometry), images),
        quantize=count_twin(Quantize(twin), latents),
        decode=count_twin(Decode(twin, decode_size or size, geometry), z_q),
        num_parameters=num_parameters(model),
    )


def inference_geometry(num_tokens: int | None, patch: int | None) -> Geometry:
    """Return the geometry of one length and one square patch, in pixels; None leaves either to the model."""
    sides = None if patch is None else (patch, patch)
    return Geometry(num_tokens=num_tokens, encoder_patch=sides, decoder_patch=sides)


def measure_tokenizer(
    model: Tokenizer,
    images: Float[Tensor, "batch 3 height width"],
    *,
    checkpoint: str,
    num_tokens: Sequence[int | None] = (None,),
    repeats: int = 5,
    warmup: int = 1,
    decode_size: Size | None = None,
    place: Point | None = None,
) -> list[MetricValue]:
    """Return a tokenizer's cost at the images' size, one set of values for each length.

    `gflops` and `num_parameters` are exact. `images_per_second_encode` (images to codes), `images_per_second_decode`
    (codes to images; both with the slowest and fastest repeat as interval) and `peak_memory_bytes` (of both, at this
    batch size) depend on the machine and are marked so.

    Args:
        model: measured in evaluation mode on the device it is on; its mode is put back.
        images: one batch in [0, 1].
        checkpoint: which weights of the run these are; stored with the values.
        num_tokens: lengths; None means the model's full length.
        repeats: how often each speed is measured.
        warmup: calls before that.
        decode_size: height and width of what is decoded, if not the images' own.
        place: what of the values' `params` says where they were taken, beside the length; the images' size by default.

    Raises:
        ResolutionError: the model cannot handle this size or a length.
        CostError: an operation of the model cannot be counted.
    """
    size = (images.shape[2], images.shape[3])
    values = [_value("num_parameters", float(num_parameters(model)), {}, {"counts": "parameters"}, checkpoint)]
    for length in num_tokens:
        point: Point = {**(place or {"resolution": f"{size[0]}x{size[1]}"}), "num_tokens": length}
        cost = count_tokenizer(model, size, length, decode_size=decode_size)
        counted: Protocol = {"counts": "encode, quantize, decode", "convention": "full", "tool": cost.encode.tool}
        values.append(_value("gflops", cost.gflops, point | {"convention": "full"}, counted, checkpoint))
        values += _measured(model, images, decode_size or size, length, point, checkpoint, repeats, warmup)
    return values


def _measured(
    model: Tokenizer,
    images: Tensor,
    size: Size,
    length: int | None,
    point: Point,
    checkpoint: str,
    repeats: int,
    warmup: int,
) -> list[MetricValue]:
    device = next(model.parameters()).device
    images = images.to(device)
    batch = images.shape[0]
    geometry = Geometry(num_tokens=length)
    how: Protocol = {"batch_size": batch, "repeats": repeats, "warmup": warmup, "machine": device_words(device)}
    with _evaluating(model):
        reset_peak_memory(device)
        codes = model.tokenize(images, geometry)
        model.detokenize(codes, size, geometry)
        peak = peak_memory_bytes(device)
        encode = measure(lambda: model.tokenize(images, geometry), batch, repeats, warmup, device)
        decode = measure(lambda: model.detokenize(codes, size, geometry), batch, repeats, warmup, device)
    memory: Protocol = {**how, "counts": "allocated" if device.type == "cuda" else "resident set of the process"}
    return [
        _speed("images_per_second_encode", encode, point, how, checkpoint, batch),
        _speed("images_per_second_decode", decode, point, how, checkpoint, batch),
        _value("peak_memory_bytes", float(peak), point, memory, checkpoint, batch, deterministic=False),
    ]


def _speed(
    name: str,
    speed: Throughput,
    point: Point,
    protocol: Protocol,
    checkpoint: str,
    batch: int,
) -> MetricValue:
    value = _value(name, speed.images_per_second, point, protocol, checkpoint, batch, deterministic=False)
    return value.model_copy(update={"interval": speed.spread})


def _value(
    name: str,
    value: float,
    point: Point,
    protocol: Protocol,
    checkpoint: str,
    num_samples: int = 1,
    deterministic: bool = True,
) -> MetricValue:
    return MetricValue(
        name=name,
        metric_version=_VERSION,
        value=value,
        num_samples=num_samples,
        params=point,
        protocol=protocol_fingerprint(dict(protocol)),
        checkpoint=checkpoint,
        deterministic=deterministic,
    )


@contextmanager
def _evaluating(model: nn.Module) -> Iterator[None]:
    training = model.training
    model.eval()
    try:
        with torch.inference_mode():
            yield
    finally:
        model.train(training)
