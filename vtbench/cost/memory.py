"""Peak memory of what runs: the resident set of this process on a CPU, the allocator's peak on a GPU.

The two are not the same thing. The resident set holds everything (weights, activations, Python, libraries, mapped
files); `torch.cuda.max_memory_allocated` holds tensors only, without the CUDA context and what the allocator keeps in
reserve.
"""

from __future__ import annotations

import re
import resource
import sys
from pathlib import Path

import torch

_STATUS = Path("/proc/self/status")
_CLEAR_REFS = Path("/proc/self/clear_refs")
_PEAK = re.compile(r"^VmHWM:\s+(\d+) kB$", re.MULTILINE)


def reset_peak_memory(device: torch.device) -> bool:
    """Begin a new peak; return False where the system cannot, and the peak is then that of the process's whole life."""
    if device.type == "cuda":
        torch.cuda.reset_peak_memory_stats(device)
        return True
    try:
        _CLEAR_REFS.write_text("5")  # Linux: sets the peak resident set back to the present one (proc(5))
    except OSError:
        return False
    return True


def peak_memory_bytes(device: torch.device) -> int:
    """Return the peak since `reset_peak_memory`, in bytes; on a CPU that of the whole process."""
    if device.type == "cuda":
        return torch.cuda.max_memory_allocated(device)
    if _STATUS.exists() and (peak := _PEAK.search(_STATUS.read_text())):
        return int(peak[1]) * 1024
    largest = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return largest if sys.platform == "darwin" else largest * 1024
