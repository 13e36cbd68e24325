"""vtbench: benchmarks and ablation studies for visual tokenizers and the generators that stand on them."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING, cast

if TYPE_CHECKING:
    from vtbench.report.tidy import StudyResults

__version__ = "0.1.0"
__all__ = ["__version__", "load"]


def load(study: str, profile: str = "tiny", root: str | Path | None = None) -> StudyResults:
    """Return a study's results as tidy DataFrames: `.runs`, `.values`, `.curves`, `.per_image`; needs no torch.

    Args:
        study: its name, for example `pos_embed`.
        profile: at which scale.
        root: a store's folder, or that of a report. None: the usual store (`$VTBENCH_ROOT`, or `runs/`) if it holds the
            study, else the committed report.

    Raises:
        StoreError: there are no results, or a file is broken.
    """
    # by name, as every module imports this one: what it imported, all would
    return cast("StudyResults", import_module("vtbench.report.tidy").load(study, profile, root))
