"""A published system: its published figures, and those of its models that can be built here."""

from __future__ import annotations

import math
from typing import Any, Literal

from pydantic import Field, PositiveInt, model_validator

from vtbench.schema.base import Frozen, Resolution, parse_resolution


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


class TokenGrid(Frozen):
    """Tokens that stand for squares of pixels, row by row: their number follows from the image's size."""

    pixels: PositiveInt
    """Side of a token's square, with the tokenizer that the system was published with."""
    option: str
    """Option of the component that takes [rows, columns]."""

    def count(self, resolution: str) -> int:
        """Return the number of whole squares in an image."""
        height, width = parse_resolution(resolution)
        return (height // self.pixels) * (width // self.pixels)

    def square(self, num_tokens: int) -> str | None:
        """Return the size of the square image that this many tokens stand for; None if there is none."""
        side = math.isqrt(num_tokens)
        return f"{side * self.pixels}x{side * self.pixels}" if side * side == num_tokens else None

    def shape(self, resolution: str, num_tokens: int) -> tuple[int, int] | None:
        """Return the (rows, columns) of this many tokens in the image's shape; None if it has no such grid.

        Squares of another side than `pixels` are allowed: a tokenizer of another factor makes them.
        """
        height, width = parse_resolution(resolution)
        if num_tokens == self.count(resolution):
            return height // self.pixels, width // self.pixels
        rows = math.isqrt(num_tokens * height // width)
        columns = num_tokens // rows if rows else 0
        return (rows, columns) if columns * rows == num_tokens and columns * height == rows * width else None


class ModelCard(Frozen):
    """A model that can be built here: a component with its options, and the work that its cost is stated for."""

    kind: Literal["tokenizer", "generator"]
    title: str
    config: dict[str, Any]
    """A registered component written flat: `{name: vibetoken, encoder: small}`."""
    resolution: Resolution = "256x256"
    """Default size: a tokenizer encodes and decodes it; a generator's tokens stand for an image of it."""
    num_tokens: PositiveInt | None = None
    """Default number of tokens: latents of a tokenizer, image tokens of a generator; null: the model's own."""
    grid: TokenGrid | None = None
    """How the number of tokens follows from the size; null: it does not."""
    patch: PositiveInt | None = None
    """Patch that an adaptive tokenizer is made to take, in pixels; null: its own rule."""
    source: str

    @model_validator(mode="after")
    def _consistent(self) -> ModelCard:
        if not isinstance(self.config.get("name"), str):
            raise ValueError("config needs the 'name' of a registered component")
        if self.patch is not None and self.kind == "generator":
            raise ValueError("a generator has no patch")
        if self.grid is not None and self.num_tokens != (number := self.grid.count(self.resolution)):
            raise ValueError(
                f"num_tokens must be {number}, one for each {self.grid.pixels} pixels of {self.resolution}"
            )
        return self


class Baseline(Frozen):
    """One published system: `baselines/NAME.yaml`."""

    name: str
    title: str
    architecture: str
    checkpoint: str | None = None
    licence: str | None = None
    preprocessing: str | None = None
    models: dict[str, ModelCard] = Field(default_factory=dict)
    """Models that can be built here, by names that no other file uses."""
    figures: tuple[PublishedFigure, ...]
