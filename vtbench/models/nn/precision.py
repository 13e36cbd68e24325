"""Parts of a model that must not run in reduced precision."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def full_precision(tensor: Tensor) -> AbstractContextManager[object]:
    """Return a context in which autocast is off for `tensor`'s device; on the meta device, which has none, nothing."""
    return nullcontext() if tensor.is_meta else torch.autocast(tensor.device.type, enabled=False)
