"""Devices by name, and the time that arithmetic and memory traffic allow at best (the roofline, Williams et al. 2009).

Figures of named devices are their makers'; `cpu` is this machine, measured. Importing this module leaves torch alone.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

from vtbench.errors import CostError, suggest


@dataclass(frozen=True, kw_only=True)
class Device:
    """What a device can do at best.

    Attributes:
        name: id.
        peak_flops: FLOPs a second of dense matrix products.
        bandwidth_bytes: bytes a second between memory and processor.
        memory_bytes: memory for weights, cache and activations.
        precision: of `peak_flops`.
        source: where the figures come from.
    """

    name: str
    peak_flops: float
    bandwidth_bytes: float
    memory_bytes: float
    precision: str
    source: str


_NAMED = {
    row.name: row
    for row in (
        Device(
            name="h100",
            peak_flops=989.4e12,
            bandwidth_bytes=3.35e12,
            memory_bytes=80e9,
            precision="bf16",
            source="NVIDIA H100 SXM data sheet; bf16 without sparsity",
        ),
        Device(
            name="h200",
            peak_flops=989.4e12,
            bandwidth_bytes=4.8e12,
            memory_bytes=141e9,
            precision="bf16",
            source="NVIDIA H200 SXM data sheet; bf16 without sparsity",
        ),
        Device(
            name="a100",
            peak_flops=312e12,
            bandwidth_bytes=2.039e12,
            memory_bytes=80e9,
            precision="bf16",
            source="NVIDIA A100 SXM 80 GB data sheet; bf16 without sparsity",
        ),
    )
}

DEVICE_NAMES = (*_NAMED, "cpu")
"""The names that `device` knows."""

_SECONDS_A_SIZE = 0.25
_SIDES = (256, 512, 1024)
_COPY_BYTES = 128 * 2**20


def device(name: str) -> Device:
    """Return the device called `name`; `cpu` is measured once a process, in about two seconds.

    Raises:
        CostError: there is none.
    """
    if name not in DEVICE_NAMES:
        raise CostError(f"No device is called '{name}'.{suggest(name, DEVICE_NAMES)}")
    return _NAMED[name] if name in _NAMED else _this_cpu()


def roofline_seconds(flops: int | float, num_bytes: int | float, device: Device) -> float:
    """Return the seconds that work takes at the least on a device.

    Args:
        flops: 2 x multiply-accumulate.
        num_bytes: what must be moved between memory and processor.
        device: arithmetic and traffic overlap fully, so the slower of the two decides.
    """
    return max(flops / device.peak_flops, num_bytes / device.bandwidth_bytes)


@cache
def _this_cpu() -> Device:
    import torch

    threads = torch.get_num_threads()
    return Device(
        name="cpu",
        peak_flops=max(_matmul_rate(side) for side in _SIDES),
        bandwidth_bytes=_copy_rate(),
        memory_bytes=float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")),
        precision="fp32",
        source=f"measured here: {platform.machine()}, {threads} threads; the best fp32 matrix product of sides"
        f" {', '.join(map(str, _SIDES))}, and copying {_COPY_BYTES // 2**20} MiB, read and written",
    )


def _matmul_rate(side: int) -> float:
    import torch

    a, b, out = torch.rand(side, side), torch.rand(side, side), torch.empty(side, side)
    return 2 * side**3 / _best_seconds(lambda: torch.mm(a, b, out=out))


def _copy_rate() -> float:
    import torch

    source, target = torch.ones(_COPY_BYTES // 4), torch.empty(_COPY_BYTES // 4)
    return 2 * _COPY_BYTES / _best_seconds(lambda: target.copy_(source))


def _best_seconds(call: Callable[[], object]) -> float:
    """Return the shortest of the repeats that fit into `_SECONDS_A_SIZE`, at least two."""
    call()
    best, until, repeats = float("inf"), time.perf_counter() + _SECONDS_A_SIZE, 0
    while repeats < 2 or time.perf_counter() < until:
        start = time.perf_counter()
        call()
        best = min(best, time.perf_counter() - start)
        repeats += 1
    return best
