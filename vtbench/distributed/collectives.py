"""What the processes of a run compute together; each function is the identity for a process that is alone.

Small decisions (whether to stop) travel over the CPU, so that no GPU is waited for. All sums are of a fixed order: the
same processes on the same batch find the same bits.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta

import torch
from torch import Tensor
from torch import distributed as dist

from vtbench.distributed.environment import attempt, launcher_keeps_store, rank, rendezvous, world_size
from vtbench.errors import ProcessLostError

TIMEOUT = timedelta(minutes=30)
"""Longest that the processes wait for one of them: it may be writing a large checkpoint to a slow disk."""

CONNECT_SECONDS = 300
"""Longest that a process waits for the first one to be there."""

PORT_SECONDS = 60
"""Longest that the first process waits for a port that something else holds."""


def open_store() -> dist.Store:
    """Return the store of small values that all processes of this run see.

    Raises:
        ProcessLostError: the place where they meet does not answer.
    """
    host, port = rendezvous()
    serves = rank() == 0 and not launcher_keeps_store()
    until = time.monotonic() + PORT_SECONDS
    while True:
        try:
            store = dist.TCPStore(
                host,
                port,
                world_size=world_size(),
                is_master=serves,
                timeout=timedelta(seconds=CONNECT_SECONDS),
                wait_for_workers=False,
                multi_tenant=True,
            )
        except (RuntimeError, ValueError) as error:
            if serves and "EADDRINUSE" in str(error) and time.monotonic() < until:
                time.sleep(1)
                continue
            raise ProcessLostError(
                f"Process {rank()} of {world_size()} cannot meet the others at {host}:{port} ({error})."
                " MASTER_ADDR and MASTER_PORT say where; the first process must be reachable there."
            ) from error
        return dist.PrefixStore(f"vtbench/{attempt()}", store)


@contextmanager
def process_group(store: dist.Store, device: torch.device) -> Iterator[None]:
    """Let this process compute together with the others while inside.

    Args:
        store: see `open_store`.
        device: where this process's tensors are; on a GPU they are exchanged by NCCL, on a CPU by gloo.
    """
    cuda = device.type == "cuda"
    dist.init_process_group(
        "cpu:gloo,cuda:nccl" if cuda else "gloo",
        store=dist.PrefixStore("group", store),
        rank=rank(),
        world_size=world_size(),
        timeout=TIMEOUT,
        device_id=device if cuda else None,
    )
    yield
    # Not after an error: with a process gone, ending the group in good order can take for ever.
    dist.destroy_process_group()


def together() -> bool:
    """Return whether this process computes together with others at the moment."""
    return dist.is_available() and dist.is_initialized() and dist.get_world_size() > 1


def barrier() -> None:
    """Wait until all processes are here."""
    any_true(False)


def any_true(flag: bool) -> bool:
    """Return whether `flag` is true in any process."""
    if not together():
        return flag
    flags = torch.tensor(int(flag))
    dist.all_reduce(flags, dist.ReduceOp.MAX)
    return bool(flags)


def mean_scalars(values: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Return the mean over processes of each scalar; all must have the same names."""
    if not together() or not values:
        return dict(values)
    device = next(iter(values.values())).device
    stacked = torch.stack([values[name].detach().to(device, torch.float64) for name in sorted(values)])
    dist.all_reduce(stacked)
    means = dict(zip(sorted(values), stacked / dist.get_world_size(), strict=True))
    return {name: means[name].to(value.dtype) for name, value in values.items()}


def mean_gradients(parameters: Iterable[Tensor]) -> None:
    """Replace each gradient by its mean over processes; which parameters have one must be the same in all."""
    gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
    if not together() or not gradients:
        return
    flat = torch.cat([gradient.flatten() for gradient in gradients])
    dist.all_reduce(flat)
    flat /= dist.get_world_size()
    for gradient, mean in zip(gradients, flat.split([gradient.numel() for gradient in gradients]), strict=True):
        gradient.copy_(mean.view_as(gradient))


def gather(tensor: Tensor, dim: int) -> Tensor:
    """Return the tensors of all processes joined along `dim`, in the order of their ranks; all have one shape."""
    if not together():
        return tensor
    parts = [torch.empty_like(tensor) for _ in range(dist.get_world_size())]
    dist.all_gather(parts, tensor.contiguous())
    return torch.cat(parts, dim)


def any_of(mask: Tensor) -> Tensor:
    """Return where a bool mask is true in any process."""
    if not together():
        return mask
    counts = mask.to(torch.int32)
    dist.all_reduce(counts, dist.ReduceOp.MAX)
    return counts.bool()


def from_main(tensor: Tensor) -> Tensor:
    """Return the first process's tensor; the others give one of the same shape, whose values do not count."""
    if not together():
        return tensor
    tensor = tensor.contiguous()
    dist.broadcast(tensor, src=0)
    return tensor
