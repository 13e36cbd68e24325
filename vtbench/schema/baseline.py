"""A published system and its published figures."""

from __future__ import annotations

from pydantic import Field

from vtbench.schema.base import Frozen


class PublishedFigure(Frozen):
    """One number that somebody published, with the protocol it was measured under."""

    row: str
    """The row's label in the publication, for example the arm's name."""
    metric: str
    value: float
    unit: str = ""
    params: dict[str, str | int | float] = Field(default_factory=dict)
    protocol: str
    source: str
    comparable: bool
    why: str
    """Why the figure can or cannot be compared with ours."""


class Baseline(Frozen):
    """One published system: `baselines/NAME.yaml`."""

    name: str
    title: str
    architecture: str
    checkpoint: str | None = None
    licence: str | None = None
    preprocessing: str | None = None
    figures: tuple[PublishedFigure, ...]
