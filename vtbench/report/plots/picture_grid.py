"""Originals and reconstructions: for each point one block, the originals on top and one row an arm below.

The pixels are shown as they are: a picture is enlarged by a whole factor, nearest neighbour, until it is at least 96
pixels high and wide, and only pictures above 256 pixels are made smaller.
"""

from __future__ import annotations

import math
import textwrap
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vtbench.errors import StoreError
from vtbench.report.gather import ORIGINAL, Strip
from vtbench.report.plots.style import Drawing, PlotData, new_figure, rows_text
from vtbench.report.results import Point, Results, Row
from vtbench.report.tables import MISSING, credit
from vtbench.schema.base import parse_resolution

MOST_LENGTHS = 4
"""Numbers of tokens that are shown of each size: of more, the first, the last and some between."""
MIN_CELL, MAX_CELL = 96, 256
GAP, BLOCK_GAP, HEADING, LABEL_WIDTH = 4, 18, 26, 150
DPI = 100


@dataclass(frozen=True)
class _Block:
    """One point: its heading, and for each label the strip's pixels (None if missing)."""

    heading: str
    rows: list[tuple[str, NDArray[np.uint8] | None]]
    row_height: int

    @property
    def height(self) -> int:
        return HEADING + len(self.rows) * (self.row_height + GAP)


def picture_grid(data: PlotData) -> Drawing | None:
    """Return the grid; None if no run kept any picture.

    Raises:
        StoreError: a strip is missing, or its size is no multiple of its resolution.
    """
    results = data.results
    blocks = [block for point in _shown(results) if (block := _block(data, point)) is not None]
    if not blocks:
        return None
    width = LABEL_WIDTH + max(pixels.shape[1] for block in blocks for _, pixels in block.rows if pixels is not None)
    height = sum(block.height for block in blocks) + BLOCK_GAP * (len(blocks) - 1)
    figure = new_figure(width / DPI, height / DPI, constrained=False)
    top = height
    for block in blocks:
        figure.text(0, (top - HEADING / 2) / height, block.heading, va="center", fontsize=10, weight="bold")
        top -= HEADING
        for label, pixels in block.rows:
            bottom = top - block.row_height
            wrapped = "\n".join(textwrap.wrap(label, 20, max_lines=4, placeholder="…"))
            figure.text(0, (bottom + block.row_height / 2) / height, wrapped, va="center", fontsize=8.5)
            if pixels is None:
                middle = (bottom + block.row_height / 2) / height
                figure.text((LABEL_WIDTH + GAP) / width, middle, MISSING, va="center", fontsize=8.5, color="#a00000")
            else:
                figure.figimage(pixels, xo=LABEL_WIDTH, yo=bottom, origin="upper", resize=False)
            top = bottom - GAP
        top -= BLOCK_GAP
    return Drawing(figure, "Originals and reconstructions", _caption(results), dpi=DPI)


def _shown(results: Results) -> list[Point]:
    """Return the points whose pictures are shown, in the plan's order."""
    by_place: dict[tuple[str | None, str | None], list[Point]] = {}
    for point in results.points:
        by_place.setdefault((point.resolution, point.route), []).append(point)
    chosen = set()
    for points in by_place.values():
        number = min(len(points), MOST_LENGTHS)
        chosen |= {points[round(n * (len(points) - 1) / max(1, number - 1))] for n in range(number)}
    return [point for point in results.points if point in chosen]


def _caption(results: Results) -> str:
    seeds = sorted({next(iter(row.runs)) for row in results.drawn_rows})
    owed = credit(results)
    lengths = "" if len(_shown(results)) == len(results.points) else " Some of the numbers of tokens."
    text = (
        f"The same validation images in every row; reconstructions of seed {', '.join(map(str, seeds))}. Not selected."
        f"{lengths}{rows_text(results)}"
    )
    return f"{text} Pictures: {owed}." if owed else text


def _block(data: PlotData, point: Point) -> _Block | None:
    """Return the pictures of one point, or None if there are none."""
    results = data.results
    strips = [strip for strip in results.data.strips if Point(strip.resolution, strip.num_tokens, strip.route) == point]
    if not strips or point.resolution is None:
        return None
    originals = next((strip for strip in strips if strip.kind == ORIGINAL), None)
    rows = [("Original", _pixels(data, originals))]
    rows += [(row.label, _pixels(data, _of(row, strips))) for row in results.drawn_rows]
    height, width = parse_resolution(point.resolution)
    trained = "trained at" if results.is_trained(point) else "not trained at"
    heading = point.label if point.route is not None else f"{point.label} ({trained})"
    return _Block(heading, rows, round(height * _scale(height, width)))


def _of(row: Row, strips: list[Strip]) -> Strip | None:
    """Return the reconstructions of the row's first seed."""
    first = next(iter(row.runs.values()))
    return next((strip for strip in strips if strip.kind != ORIGINAL and strip.run_id == first), None)


def _scale(height: int, width: int) -> float:
    """Return the factor of a picture's size: whole where it enlarges."""
    if max(height, width) > MAX_CELL and min(height, width) >= MIN_CELL:
        return MAX_CELL / max(height, width)
    return math.ceil(MIN_CELL / min(height, width))


def _pixels(data: PlotData, strip: Strip | None) -> NDArray[np.uint8] | None:
    """Return a strip's pictures at their size on the page, with gaps between them: uint8, height x width x 3."""
    if strip is None:
        return None
    path = data.folder / strip.file
    if not path.exists():
        raise StoreError(f"{path} does not exist. `python -m vtbench report` copies the pictures again.")
    height, width = parse_resolution(strip.resolution)
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    if pixels.shape[0] != height or pixels.shape[1] % width:
        size = f"{pixels.shape[0]}x{pixels.shape[1]}"
        raise StoreError(f"{path} is {size} pixels (HxW), which is no row of {strip.resolution} pictures.")
    scale = _scale(height, width)
    cells = []
    for picture in np.split(pixels, pixels.shape[1] // width, axis=1):
        target = (round(width * scale), round(height * scale))
        how = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.BOX
        cells += [np.asarray(Image.fromarray(picture).resize(target, how)), np.full((target[1], GAP, 3), 255, np.uint8)]
    return np.concatenate(cells[:-1], axis=1)
