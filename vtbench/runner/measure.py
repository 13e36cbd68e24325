"""Speed and memory of models by the clock: random weights, this machine, all models in turn.

A tokenizer encodes images to codes and decodes codes to images; a generator samples all its tokens with a cache and
without guidance. The weights are random, which makes no difference to the arithmetic, and float32.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import torch

from vtbench.cost.memory import peak_memory_bytes, reset_peak_memory
from vtbench.cost.throughput import Interleaved, device_words, interleave
from vtbench.cost.tokenizer import inference_geometry
from vtbench.errors import CostError
from vtbench.models.generators.base import Condition, Generator
from vtbench.models.tokenizers.base import Tokenizer
from vtbench.runner.build import build_card
from vtbench.schema.base import parse_resolution
from vtbench.schema.baseline import ModelCard
from vtbench.schema.cost import Workload
from vtbench.store.provenance import collect

WARMUP, ROUNDS = 1, 5
_BYTES_PER_FLOAT = 4

Work = Literal["encode", "decode", "generate"]
Unit = Literal["images/s", "tokens/s"]


@dataclass(frozen=True, kw_only=True)
class Speed:
    """How fast one model does one kind of work.

    Attributes:
        model: its name. work: what it does. unit: of what follows.
        per_second: median over the rounds.
        spread: slowest and fastest round.
        ratio: to the first model that does this work, as the median of the rounds' ratios; None for that one.
        ratio_interval: 95 % interval of that ratio, rounds drawn with replacement.
    """

    model: str
    work: Work
    unit: Unit
    per_second: float
    spread: tuple[float, float]
    ratio: float | None = None
    ratio_interval: tuple[float, float] | None = None


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What was measured, and on what.

    Attributes:
        hardware: processor, cores, memory and GPUs.
        device: the one that was measured, with the threads of a CPU.
        warmup: calls of each before the measurement. rounds: measured calls of each, all models in turn.
        batch_size: images at a time.
        speeds: in the models' order.
        peak_bytes: most memory that each model took, its weights included: growth of the process's resident set on a
            CPU, of allocated memory on a GPU; None where the system cannot tell.
    """

    hardware: str
    device: str
    warmup: int
    rounds: int
    batch_size: int
    speeds: tuple[Speed, ...]
    peak_bytes: Mapping[str, int | None]

    @property
    def how(self) -> str:
        """How it was measured, in a sentence."""
        return (
            f"measured on {self.device} ({self.hardware}): random weights in float32, batches of"
            f" {self.batch_size}, median of {self.rounds} rounds after {self.warmup} for warming up, all models in turn"
        )


def measure_models(
    cards: Mapping[str, ModelCard],
    works: Mapping[str, Workload],
    overrides: Mapping[str, Any] | None = None,
    warmup: int = WARMUP,
    rounds: int = ROUNDS,
) -> Measured:
    """Measure models in turn, on a GPU if there is one.

    Args:
        cards: models by name.
        works: the work of each, with its number of tokens; all have one batch size.
        overrides: options of the components that replace the cards'.
        warmup: calls of each kind of work of each model that are not measured, at least 1.
        rounds: measured calls of each, at least 1.

    Raises:
        CostError: the weights of all models together do not fit into the free memory.
        StudyError: an option is wrong.
    """
    refuse_what_does_not_fit(cards, works, overrides)
    device = _device()
    calls: dict[Work, dict[str, Callable[[], object]]] = {}
    peaks: dict[str, int | None] = {}
    for name, card in cards.items():
        known = reset_peak_memory(device)
        before = peak_memory_bytes(device)
        model = build_card(card, overrides, works[name], device).eval()
        for work, call in _calls(model, works[name], device).items():
            call()
            calls.setdefault(work, {})[name] = call
        peaks[name] = peak_memory_bytes(device) - before if known else None
    timed = {work: interleave(models, rounds, warmup, device) for work, models in calls.items()}
    return Measured(
        hardware=collect("").hardware,
        device=device_words(device),
        warmup=warmup,
        rounds=rounds,
        batch_size=next(iter(works.values())).batch_size,
        speeds=tuple(speed for work, found in timed.items() for speed in _speeds(work, found, works)),
        peak_bytes=peaks,
    )


def _speeds(work: Work, found: Interleaved, works: Mapping[str, Workload]) -> list[Speed]:
    """Turn seconds a call into images a second, for a generator also into tokens a second."""
    units: tuple[Unit, ...] = ("tokens/s", "images/s") if work == "generate" else ("images/s",)
    amounts = {unit: {name: _amount(unit, works[name]) for name in found.timings} for unit in units}
    first = next(iter(found.timings))
    speeds = []
    for unit, amount in amounts.items():
        for name, timing in found.timings.items():
            more = amount[name] / amount[first]
            low, high = timing.ratio_interval
            speeds.append(
                Speed(
                    model=name,
                    work=work,
                    unit=unit,
                    per_second=amount[name] / timing.seconds,
                    spread=(amount[name] / timing.spread[1], amount[name] / timing.spread[0]),
                    ratio=None if name == first else more / timing.ratio,
                    ratio_interval=None if name == first else (more / high, more / low),
                )
            )
    return speeds


def _amount(unit: Unit, work: Workload) -> int:
    """Return how much one call does."""
    return work.batch_size * (work.num_tokens or 1 if unit == "tokens/s" else 1)


def refuse_what_does_not_fit(
    cards: Mapping[str, ModelCard], works: Mapping[str, Workload], overrides: Mapping[str, Any] | None = None
) -> None:
    """Raise a `CostError` if the weights of all models together are larger than the free memory."""
    device = _device()
    sizes = {}
    for name, card in cards.items():
        parameters = build_card(card, overrides, works[name]).parameters()
        sizes[name] = _BYTES_PER_FLOAT * sum(parameter.numel() for parameter in parameters)
    free = free_bytes(device)
    if free is not None and sum(sizes.values()) > free:
        listed = ", ".join(f"{name} {size / 1e9:.2f} GB" for name, size in sizes.items())
        raise CostError(
            f"The weights do not fit into the {free / 1e9:.2f} GB of free memory on {device.type}: {listed} in float32."
            " Measure fewer or smaller models at a time; counting needs no weights."
        )


def _device() -> torch.device:
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def free_bytes(device: torch.device) -> int | None:
    """Return how much memory a new tensor may take, in bytes; None where the system does not say."""
    if device.type == "cuda":
        return torch.cuda.mem_get_info(device)[0]
    found = [number for number in (_available(_MEMINFO), _left(_CGROUP)) if number is not None]
    return min(found, default=None)


_MEMINFO, _CGROUP = Path("/proc/meminfo"), Path("/sys/fs/cgroup")


def _available(meminfo: Path) -> int | None:
    text = meminfo.read_text() if meminfo.exists() else ""
    match = re.search(r"^MemAvailable:\s+(\d+) kB$", text, re.MULTILINE)
    return int(match[1]) * 1024 if match else None


def _left(cgroup: Path) -> int | None:
    """Return what a container's limit leaves; what the page cache holds can be had."""
    limit, used, stat = (cgroup / name for name in ("memory.max", "memory.current", "memory.stat"))
    if not (limit.exists() and used.exists()) or not (number := limit.read_text().strip()).isdigit():
        return None
    cached = re.search(r"^inactive_file (\d+)$", stat.read_text() if stat.exists() else "", re.MULTILINE)
    return int(number) - int(used.read_text()) + (int(cached[1]) if cached else 0)


def _calls(model: Tokenizer | Generator, work: Workload, device: torch.device) -> dict[Work, Callable[[], object]]:
    """Return what a model is measured at; each call does the whole batch."""
    height, width = parse_resolution(work.resolution)
    batch = work.batch_size
    if isinstance(model, Generator):
        condition = Condition(
            labels=torch.arange(batch, device=device) % model.num_classes,
            height=torch.full((batch,), float(height), device=device),
            width=torch.full((batch,), float(width), device=device),
        )
        return {"generate": lambda: model.generate(condition, work.num_tokens, seeds=range(batch))}
    geometry = inference_geometry(work.num_tokens, work.patch)
    images = torch.rand(batch, 3, height, width, generator=torch.Generator().manual_seed(0)).to(device)
    with torch.inference_mode():
        codes = model.tokenize(images, geometry)
    tokenize = torch.inference_mode()(lambda: model.tokenize(images, geometry))
    detokenize = torch.inference_mode()(lambda: model.detokenize(codes, (height, width), geometry))
    return {"encode": tokenize, "decode": detokenize}
