"""Errors that a user can mend.

Every error that a user's input, files or machine can cause derives from :class:`VtbenchError`. Its message says what is
wrong, where, and how to mend it; the command line prints that message alone and leaves with `exit_code`.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class VtbenchError(Exception):
    """A problem that the user can mend; shown as one message, without a traceback."""

    exit_code = 2


class StudyError(VtbenchError):
    """A study file, an arm, a path in a config or a value in it is wrong."""


class RegistryError(VtbenchError):
    """No component has this name."""


class DataError(VtbenchError):
    """Images are missing, unreadable, or too few."""


class WeightsError(VtbenchError):
    """A weights file is missing or is not the one that was asked for."""


class ResolutionError(VtbenchError):
    """A size that the patch cannot tile, or a length that the model does not have."""


class CostError(VtbenchError):
    """A model's cost cannot be counted in full; a partial count is never reported."""


class StoreError(VtbenchError):
    """A file of the store is missing, broken, or of an unknown version."""


class DiskFullError(StoreError):
    """There is no room left for a file of the store; what was there before is kept."""

    exit_code = 1


class CheckpointError(StoreError):
    """A checkpoint is missing, broken, or not what was written."""


class ProtocolError(StoreError):
    """Values that were measured in different ways would be compared."""


class RunLockedError(StoreError):
    """Another process is writing this run."""

    exit_code = 1


class TrainingError(VtbenchError):
    """Training cannot go on; what was reached is kept."""

    exit_code = 1


class NonFiniteLossError(TrainingError):
    """The loss became NaN or infinite."""


class ProcessLostError(TrainingError):
    """Another process of the same run has ended without a word, or cannot be reached."""


class RunsFailedError(VtbenchError):
    """Some runs of a study failed; the others are kept and a second `run` does only what is missing."""

    exit_code = 1


class LaunchError(VtbenchError):
    """Jobs cannot be submitted, found or ended; what was reached is kept."""


def suggest(name: str, choices: Iterable[str]) -> str:
    """Return ` Did you mean 'x'?` for the nearest of `choices`, or the list of them if none is near."""
    known = sorted(choices)
    near = difflib.get_close_matches(name, known, n=1, cutoff=0.55)
    if near:
        return f" Did you mean '{near[0]}'?"
    return f" Choose from: {', '.join(known)}." if known else ""
