"""Images a second of any call, measured by the clock."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch


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
    rates = []
    for _ in range(repeats):
        _synchronise(device)
        start = time.perf_counter()
        call()
        _synchronise(device)
        rates.append(images_per_call / (time.perf_counter() - start))
    return Throughput(images_per_second=statistics.median(rates), spread=(min(rates), max(rates)), repeats=len(rates))


def _synchronise(device: torch.device | None) -> None:
    if device is not None and device.type == "cuda":
        torch.cuda.synchronize(device)
