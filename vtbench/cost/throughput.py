"""Speed of any call, measured by the clock: alone, or several calls in turns.

Calls that are to be compared are interleaved: a machine that slows down for a while (heat, other work) then slows down
all of them, and the ratio within a round stays what it is.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
import torch

from vtbench.seeding import rng

_RESAMPLES = 2000


@dataclass(frozen=True, kw_only=True)
class Throughput:
    """Images a second over some repeats.

    Attributes:
        images_per_second: the median.
        spread: slowest and fastest repeat, in images a second.
        repeats: how many were measured.
    """

    images_per_second: float
    spread: tuple[float, float]
    repeats: int


@dataclass(frozen=True, kw_only=True)
class Timing:
    """One call of several that took turns.

    Attributes:
        seconds: median over the rounds.
        spread: fastest and slowest round, in seconds.
        ratio: its seconds over the first call's, within each round; the median over the rounds.
        ratio_interval: 95 % percentile bootstrap interval of `ratio`, rounds drawn with replacement.
    """

    seconds: float
    spread: tuple[float, float]
    ratio: float
    ratio_interval: tuple[float, float]


@dataclass(frozen=True, kw_only=True)
class Interleaved:
    """Calls measured in turns.

    Attributes:
        timings: name -> timing, in the order given.
        rounds: how many were measured. warmup: rounds before that.
        device: where, in words.
    """

    timings: Mapping[str, Timing]
    rounds: int
    warmup: int
    device: str


def measure(
    call: Callable[[], object],
    images_per_call: int,
    repeats: int = 5,
    warmup: int = 1,
    device: torch.device | None = None,
) -> Throughput:
    """Measure `call`, waiting for the GPU before and after each repeat.

    Args:
        call: handles `images_per_call` images.
        images_per_call: at least 1.
        repeats: how often it is measured, at least 1.
        warmup: calls before that which are not measured (allocation, kernel choice, compilation).
        device: where the call works; None means the CPU.
    """
    for _ in range(warmup):
        call()
    rates = [images_per_call / _seconds(call, device) for _ in range(repeats)]
    return Throughput(images_per_second=statistics.median(rates), spread=(min(rates), max(rates)), repeats=len(rates))


def interleave(
    calls: Mapping[str, Callable[[], object]], rounds: int = 5, warmup: int = 1, device: torch.device | None = None
) -> Interleaved:
    """Measure calls in turns: each once a round, in an order that rotates from round to round.

    Args:
        calls: name -> call; ratios are to the first.
        rounds: how often each is measured, at least 1.
        warmup: rounds before that which are not measured.
        device: where the calls work; None means the CPU.
    """
    names = list(calls)
    seconds: dict[str, list[float]] = {name: [] for name in names}
    for number in range(warmup + rounds):
        first = number % len(names)
        for name in names[first:] + names[:first]:
            taken = _seconds(calls[name], device)
            if number >= warmup:
                seconds[name].append(taken)
    base = np.array(seconds[names[0]])
    return Interleaved(
        timings={name: _timing(np.array(seconds[name]), base) for name in names},
        rounds=rounds,
        warmup=warmup,
        device=device_words(device),
    )


def device_words(device: torch.device | None) -> str:
    """Return the name of a device, with the threads of a CPU."""
    if device is not None and device.type == "cuda":
        return torch.cuda.get_device_name(device)
    return f"{'cpu' if device is None else device.type}, {torch.get_num_threads()} threads"


def _timing(seconds: np.ndarray, base: np.ndarray) -> Timing:
    ratios = seconds / base
    drawn = rng(0, "interleave").integers(len(ratios), size=(_RESAMPLES, len(ratios)))
    low, high = np.quantile(np.median(ratios[drawn], axis=1), (0.025, 0.975))
    return Timing(
        seconds=float(np.median(seconds)),
        spread=(float(seconds.min()), float(seconds.max())),
        ratio=float(np.median(ratios)),
        ratio_interval=(float(low), float(high)),
    )


def _seconds(call: Callable[[], object], device: torch.device | None) -> float:
    _synchronise(device)
    start = time.perf_counter()
    call()
    _synchronise(device)
    return time.perf_counter() - start


def _synchronise(device: torch.device | None) -> None:
    if device is not None and device.type == "cuda":
        torch.cuda.synchronize(device)
