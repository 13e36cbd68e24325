"""Why a run failed: its cause, and a signature that failures of one kind share.

The cause is looked for in the batch system's word for how the job ended, then in the error that the run recorded, then
in the last lines of its log: a process that was killed records nothing.
"""

from __future__ import annotations

import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from vtbench.schema.record import RunError

LAST_LINES = 5
"""Lines of the log that go with a failure."""

_TAIL_BYTES = 16_384


class Cause(StrEnum):
    """What kind of failure it was, in the order in which failures are listed."""

    OUT_OF_MEMORY = "out of memory"
    TIME_OUT = "time-out"
    NODE = "node"
    IMPORT = "import"
    BAD_DATA = "bad data"
    NAN = "NaN"
    DISK_FULL = "disk full"
    CANCELLED = "cancelled"
    OTHER = "other"


@dataclass(frozen=True, kw_only=True)
class Failure:
    """Why one run failed.

    Attributes:
        cause: what kind of failure.
        reason: one line that says what happened.
        signature: the reason without what differs from run to run: numbers, hashes, paths.
        last_lines: the end of the run's log.
    """

    cause: Cause
    reason: str
    signature: str
    last_lines: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class FailureGroup:
    """Runs that failed alike; `example` is the failure of the first of them."""

    cause: Cause
    signature: str
    run_ids: tuple[str, ...]
    example: Failure


_ENDINGS = {
    "OUT_OF_MEMORY": Cause.OUT_OF_MEMORY,
    "TIMEOUT": Cause.TIME_OUT,
    "DEADLINE": Cause.TIME_OUT,
    "NODE_FAIL": Cause.NODE,
    "BOOT_FAIL": Cause.NODE,
    "PREEMPTED": Cause.CANCELLED,
    "REVOKED": Cause.CANCELLED,
    "CANCELLED": Cause.CANCELLED,
}
"""How Slurm says that a job ended; `FAILED` says nothing."""

_KINDS = {
    "OutOfMemoryError": Cause.OUT_OF_MEMORY,
    "MemoryError": Cause.OUT_OF_MEMORY,
    "DiskFullError": Cause.DISK_FULL,
    "ProcessLostError": Cause.NODE,
    "TimeoutError": Cause.TIME_OUT,
    "ConnectionResetError": Cause.NODE,
    "BrokenPipeError": Cause.NODE,
    "ImportError": Cause.IMPORT,
    "ModuleNotFoundError": Cause.IMPORT,
    "RegistryError": Cause.IMPORT,
    "DataError": Cause.BAD_DATA,
    "UnidentifiedImageError": Cause.BAD_DATA,
    "NonFiniteLossError": Cause.NAN,
    "KeyboardInterrupt": Cause.CANCELLED,
}
"""Exceptions whose name says enough; that data cannot be read may also be the disk's or the machine's fault."""

_SAYINGS: Mapping[Cause, tuple[str, ...]] = {
    # before `cancelled`, with which Slurm's words for it begin
    Cause.TIME_OUT: (
        r"due to time limit",
        r"timed out",
        r"collective operation timeout",
        r"\btime limit\b",
        r"deadline",
    ),
    Cause.OUT_OF_MEMORY: (
        r"out of memory",
        r"oom[-_ ]?kill",
        r"outofmemoryerror",
        r"\bmemoryerror\b",
        r"bad_alloc",
        r"(cannot|can't|unable to) allocate",
        r"alloc_failed",
        r"for want of memory",
        r"^killed$",
    ),
    Cause.DISK_FULL: (r"no space left", r"quota exceeded", r"disk is full", r"\benospc\b", r"\bedquot\b"),
    Cause.NODE: (
        r"node[-_ ]?fail",
        r"due to node",
        r"uncorrectable ecc",
        r"\bxid\b",
        r"unspecified launch failure",
        r"no cuda-capable device",
        r"device\(s\) is/are busy",
        r"sees no cuda device",
        r"hardware error",
        r"bus error",
        r"nccl (system |remote |internal )?error",
        r"connection reset",
        r"stale file handle",
        r"transport endpoint",
        r"input/output error",
    ),
    Cause.IMPORT: (
        r"modulenotfounderror",
        r"importerror",
        r"no module named",
        r"cannot import name",
        r"cannot open shared object file",
        r"undefined symbol",
        r"which is not installed",
    ),
    Cause.NAN: (r"non-?finite", r"(loss|grad_norm|gradient)\b.{0,40}\b(nan|inf)\b", r"training broke at step"),
    Cause.BAD_DATA: (
        r"dataerror",
        r"cannot identify image",
        r"image file is truncated",
        r"broken data stream",
        r"corrupt(ed)? (image|jpeg|png)",
        r"tarfile\.readerror",
    ),
    Cause.CANCELLED: (r"\bcancelled at\b", r"^cancelled", r"preempt(ed|ion)", r"keyboardinterrupt", r"\bterminated$"),
}
"""What messages and logs say, by cause; the first that fits counts."""

_WORDS = {cause: re.compile("|".join(sayings), re.IGNORECASE) for cause, sayings in _SAYINGS.items()}

_VARYING = (
    (re.compile(r"(?<!\w)(?:[A-Za-z]:)?(?:/[\w.@+=-]+){2,}"), "PATH"),
    (re.compile(r"\b(?=[0-9a-f]*\d)[0-9a-f]{6,}\b"), "HASH"),
    (re.compile(r"(?<!\w)[+-]?\d+(?:[.,:]\d+)*(?:[eE][+-]?\d+)?"), "N"),
)


def classify(error: RunError | None, lines: Sequence[str] = (), ending: str | None = None) -> Failure:
    """Return why a run failed.

    Args:
        error: what the run recorded, if it could.
        lines: the end of its log.
        ending: how its job ended, in the batch system's words, for example `TIMEOUT` or `the node failed`.
    """
    said = [line.strip() for line in lines if line.strip()]
    reason = _first_line(error.message) if error is not None else _telling_line(said)
    if error is None and ending and _by_ending(ending) is not None:
        reason = f"{ending}: {reason}" if reason else ending
    name = error.kind if error is not None else ""
    signature = ": ".join(filter(None, [name, signature_of(reason)]))
    return Failure(
        cause=_cause(error, said, ending),
        reason=reason or "ended without a word",
        signature=signature or "ended without a word",
        last_lines=tuple(line.rstrip() for line in lines if line.strip())[-LAST_LINES:],
    )


def signature_of(text: str) -> str:
    """Return a message without what differs from run to run."""
    for pattern, stands_for in _VARYING:
        text = pattern.sub(stands_for, text)
    return text


def group(failures: Mapping[str, Failure]) -> list[FailureGroup]:
    """Return failures by cause and signature: causes in their order, then the larger group first.

    Args:
        failures: run id -> why it failed.
    """
    found: dict[tuple[Cause, str], list[str]] = {}
    for run_id, failure in failures.items():
        found.setdefault((failure.cause, failure.signature), []).append(run_id)
    groups = [
        FailureGroup(cause=cause, signature=signature, run_ids=tuple(run_ids), example=failures[run_ids[0]])
        for (cause, signature), run_ids in found.items()
    ]
    order = list(Cause)
    return sorted(groups, key=lambda group: (order.index(group.cause), -len(group.run_ids), group.signature))


def last_lines(path: Path, num_bytes: int = _TAIL_BYTES) -> list[str]:
    """Return the lines in the last bytes of a text file, the torn first one left out; a missing file has none."""
    try:
        with path.open("rb") as file:
            size = file.seek(0, os.SEEK_END)
            file.seek(max(0, size - num_bytes))
            data = file.read()
    except OSError:
        return []
    # a progress bar rewrites its line; what stands there at the end counts
    text = data.decode(errors="replace").rstrip("\r\n")
    lines = [line.rpartition("\r")[2] for line in text.split("\n")] if text else []
    return lines[1:] if size > num_bytes else lines


def _cause(error: RunError | None, lines: Sequence[str], ending: str | None) -> Cause:
    ended = _by_ending(ending) if ending else None
    if ended is not None and (error is None or ended != Cause.CANCELLED):
        return ended
    if error is not None:
        by_kind = _KINDS.get(error.kind)
        if by_kind is not None and by_kind != Cause.BAD_DATA:
            return by_kind
        return _by_words(error.message) or by_kind or Cause.OTHER
    return next(filter(None, map(_by_words, reversed(lines))), None) or ended or Cause.OTHER


def _by_ending(ending: str) -> Cause | None:
    return _ENDINGS.get(ending.split()[0]) or _by_words(ending)


def _by_words(text: str) -> Cause | None:
    return next((cause for cause, pattern in _WORDS.items() if pattern.search(text)), None)


def _telling_line(lines: Sequence[str]) -> str:
    """Return the last line that names a cause, or the last line of all."""
    return next((line for line in reversed(lines) if _by_words(line)), lines[-1] if lines else "")


def _first_line(text: str) -> str:
    return text.strip().partition("\n")[0]
