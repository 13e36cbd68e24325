"""Samples of each arm by class, what more tokens add, and the training images nearest to samples.

The pixels are shown as they are: enlarged by a whole factor, nearest neighbour.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from vtbench.errors import StoreError
from vtbench.report.gather import NEIGHBOURS, SAMPLES, Strip
from vtbench.report.plots.style import Drawing, PlotData, new_figure
from vtbench.report.results import Results, Row, sampling_text
from vtbench.report.tables import credit
from vtbench.schema.base import parse_resolution

DPI = 100
MIN_CELL, GAP, HEADING, SIDE = 48, 2, 26, 12
NAMES_WIDTH = 110
"""Pixels to the left of a line of blocks whose rows have names."""
MOST_ACROSS = 1100
"""Pixels: blocks stand side by side up to this width."""
LADDER_COLUMNS = 12
Pixels = NDArray[np.uint8]


@dataclass(frozen=True)
class _Block:
    """A picture with a heading, and the names of its rows, which are equally high, where they are known."""

    heading: str
    pixels: Pixels
    names: Sequence[str] = ()


def sample_grid(data: PlotData) -> Drawing | None:
    """Return a block an arm: rows are classes, columns samples, the same seeds for all arms; None without samples."""
    results = data.results
    blocks = [
        _Block(_heading(row.label, strip), _grid(_cells(data, strip)), _row_names(data, strip))
        for row, strip in _chosen(results, SAMPLES, longest=True)
    ]
    text = (
        "A row a class, the same classes and seeds in every block, all tokens; not selected. Each size and each way of"
        " sampling that was measured has a block."
    )
    return _drawing(blocks, "Samples", text, results)


def token_ladder(data: PlotData) -> Drawing | None:
    """Return, for each arm, its samples from ever longer prefixes of their tokens; None with fewer than two lengths."""
    results, blocks = data.results, []
    usual = next((point.sampling for point in results.points if point.sampling is not None), None)
    for row in results.drawn_rows:
        strips = [each for owner, each in _chosen(results, SAMPLES) if owner == row and each.sampling == usual]
        for size in dict.fromkeys(strip.resolution for strip in strips):
            of_size = sorted((s for s in strips if s.resolution == size), key=_length)
            if len(of_size) > 1:
                rungs = [_spread(_cells(data, strip)) for strip in of_size]
                lengths = ", ".join("all" if s.num_tokens is None else str(s.num_tokens) for s in of_size)
                blocks.append(_Block(f"{row.label}, {size.replace('x', '×')}: {lengths} tokens", _grid(rungs)))
    text = "Each column is one sample: its first tokens decoded, more from row to row. The first samples of each class."
    return _drawing(blocks, "From coarse to fine", text, results)


def nearest_training(data: PlotData) -> Drawing | None:
    """Return, for each arm, the samples nearest to a training image above those images; None without them."""
    results = data.results
    blocks = [
        _Block(_heading(row.label, strip), _grid(_cells(data, strip)))
        for row, strip in _chosen(results, NEIGHBOURS, longest=True)
    ]
    text = (
        "Above: of all samples those that are nearest to a training image (EfficientNet-Lite0 features), so the worst"
        " case. Below: that training image."
    )
    return _drawing(blocks, "Nearest training images", text, results)


def _chosen(results: Results, kind: str, longest: bool = False) -> Iterable[tuple[Row, Strip]]:
    """Yield the pictures of a kind of each row's first seed; `longest`: of the most tokens alone."""
    for row in results.drawn_rows:
        first = next(iter(row.runs.values()))
        strips = [strip for strip in results.data.strips if strip.kind == kind and strip.run_id == first]
        most = max(map(_length, strips), default=0.0)
        yield from ((row, strip) for strip in strips if not longest or _length(strip) == most)


def _length(strip: Strip) -> float:
    return np.inf if strip.num_tokens is None else float(strip.num_tokens)


def _heading(label: str, strip: Strip) -> str:
    size = strip.resolution.replace("x", "×")
    return ", ".join(filter(None, [label, size, sampling_text(strip.sampling)]))


def _cells(data: PlotData, strip: Strip) -> list[list[Pixels]]:
    """Return the pictures of a strip, row by row, at their size on the page.

    Raises:
        StoreError: the file is missing, or its size is no multiple of its pictures'.
    """
    path = data.folder / strip.file
    if not path.exists():
        raise StoreError(f"{path} does not exist. `python -m vtbench report` copies the pictures again.")
    height, width = parse_resolution(strip.resolution)
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGB"))
    if pixels.shape[0] % height or pixels.shape[1] % width:
        size = f"{pixels.shape[0]}x{pixels.shape[1]}"
        raise StoreError(f"{path} is {size} pixels (HxW), which is no grid of {strip.resolution} pictures.")
    factor = max(1, -(-MIN_CELL // min(height, width)))
    rows = np.split(pixels, pixels.shape[0] // height)
    cells = [np.split(row, pixels.shape[1] // width, axis=1) for row in rows]
    return [[cell.repeat(factor, axis=0).repeat(factor, axis=1) for cell in row] for row in cells]


def _row_names(data: PlotData, strip: Strip) -> tuple[str, ...]:
    """Return the names that stand in the picture's file; none where it was written without."""
    with Image.open(data.folder / strip.file) as image:
        return tuple(map(str, json.loads(image.info.get("rows", "[]"))))


def _spread(cells: Sequence[Sequence[Pixels]]) -> list[Pixels]:
    """Return at most `LADDER_COLUMNS` pictures, as many of each class as fit."""
    each = max(1, LADDER_COLUMNS // len(cells))
    return [cell for row in cells for cell in row[:each]][:LADDER_COLUMNS]


def _grid(rows: Sequence[Sequence[Pixels]]) -> Pixels:
    """Return pictures in rows, with gaps between them."""
    lines = []
    for row in rows:
        height = row[0].shape[0]
        gap = np.full((height, GAP, 3), 255, np.uint8)
        parts = [part for cell in row for part in (cell, gap)][:-1]
        lines.append(np.concatenate(parts, axis=1))
    width = max(line.shape[1] for line in lines)
    gap = np.full((GAP, width, 3), 255, np.uint8)
    padded = [np.pad(line, ((0, 0), (0, width - line.shape[1]), (0, 0)), constant_values=255) for line in lines]
    return np.concatenate([part for line in padded for part in (line, gap)][:-1])


def _drawing(blocks: Sequence[_Block], title: str, caption: str, results: Results) -> Drawing | None:
    """Return blocks in lines as wide as the page."""
    if not blocks:
        return None
    lines: list[list[_Block]] = [[]]
    for block in blocks:
        if lines[-1] and sum(each.pixels.shape[1] + SIDE for each in [*lines[-1], block]) > MOST_ACROSS:
            lines.append([])
        lines[-1].append(block)
    margin = NAMES_WIDTH if any(block.names for block in blocks) else 0
    width = margin + max(sum(each.pixels.shape[1] + SIDE for each in line) for line in lines)
    heights = [HEADING + max(each.pixels.shape[0] for each in line) + SIDE for line in lines]
    figure = new_figure(width / DPI, sum(heights) / DPI, constrained=False)
    top = sum(heights)
    for line, height in zip(lines, heights, strict=True):
        left = margin
        for number, name in enumerate(line[0].names):
            middle = top - HEADING - (number + 0.5) * (line[0].pixels.shape[0] + GAP) / len(line[0].names)
            wrapped = "\n".join(textwrap.wrap(name, 17, max_lines=2, placeholder="…"))
            figure.text(0, middle / sum(heights), wrapped, va="center", fontsize=8, parse_math=False)
        for block in line:
            across = block.pixels.shape[1]
            heading = textwrap.shorten(block.heading, max(12, across // 6), placeholder="…")
            figure.text(left / width, (top - HEADING / 2) / sum(heights), heading, va="center", fontsize=8)
            lower = top - HEADING - block.pixels.shape[0]
            figure.figimage(block.pixels, xo=left, yo=lower, origin="upper", resize=False)
            left += across + SIDE
        top -= height
    owed = credit(results)
    return Drawing(figure, title, f"{caption} Training images: {owed}." if owed else caption, dpi=DPI)
