"""What all plots share: the type that they return, and colours, markers and fonts that stay an arm's own everywhere.

The palette is seaborn's `colorblind`; an arm has its marker too, so that no plot needs its colours. Figures are made
without pyplot, whose state is global.
"""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from matplotlib import rc_context, rcdefaults, rcParams
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from vtbench.report.metrics import display
from vtbench.report.results import Results, Row

_COLOURS = (
    "#0173b2",
    "#de8f05",
    "#029e73",
    "#d55e00",
    "#cc78bc",
    "#ca9161",
    "#fbafe4",
    "#949494",
    "#ece133",
    "#56b4e9",
)
_MARKERS = "osD^vPX*<>"
_LINES = ("-", "--", ":", "-.")

DPI = 150
WIDTH_INCHES = 7.5
_RC: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": "#e4e4e4",
    "grid.linewidth": 0.6,
    "axes.axisbelow": True,
    "legend.frameon": False,
    "axes.titlesize": 9,
    "text.parse_math": False,
}


@dataclass(frozen=True)
class PlotData:
    """What a plot is drawn from: the values, and the folder that holds the picture strips."""

    results: Results
    folder: Path


@dataclass(frozen=True)
class Drawing:
    """A figure with its heading and caption; `dpi` keeps the pixels of picture grids exact."""

    figure: Figure
    title: str
    caption: str
    dpi: int = DPI

    def png(self) -> bytes:
        """Return the PNG; the same figure gives the same bytes with the same version of matplotlib."""
        buffer = io.BytesIO()
        self.figure.savefig(buffer, format="png", dpi=self.dpi, metadata={"Software": None})
        return buffer.getvalue()


class OfArm(Protocol):
    """Anything that belongs to one arm of a study."""

    @property
    def arm_index(self) -> int:
        """The arm's place in the study."""


@contextmanager
def styled() -> Iterator[None]:
    """Draw and save with this style alone, whatever the user's matplotlibrc says."""
    with rc_context():
        rcdefaults()
        rcParams.update(_RC)
        yield


def new_figure(width: float, height: float, *, constrained: bool = True) -> Figure:
    """Return an empty figure of this size in inches, drawn by Agg."""
    figure = Figure(figsize=(width, height), layout="constrained" if constrained else None, facecolor="white")
    FigureCanvasAgg(figure)
    return figure


def colour(row: OfArm) -> str:
    """Return the arm's colour."""
    return _COLOURS[row.arm_index % len(_COLOURS)]


def marker(row: OfArm) -> str:
    """Return the arm's marker."""
    return _MARKERS[row.arm_index % len(_MARKERS)]


def rows_text(results: Results) -> str:
    """Return the sentence that a caption needs where a plot leaves rows out, with a space before it; or nothing."""
    shown = len(results.drawn_rows)
    if shown == len(results.rows):
        return ""
    metric = display(results.main_metric).title
    return f" {shown} of {len(results.rows):,} rows: of each arm the one with the best mean {metric}."


def line(results: Results, row: Row) -> str:
    """Return the line style that tells an arm's axis values apart."""
    same_arm = [other for other in results.rows if other.arm == row.arm]
    return _LINES[same_arm.index(row) % len(_LINES)]


def legend_below(figure: Figure, axes: Axes, num_columns: int) -> None:
    """Put the legend of `axes` under the whole figure."""
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=num_columns)


def log_if_positive(axes: Axes, values: list[float]) -> None:
    """Make the vertical axis logarithmic if all values allow it, with plain numbers at its ticks."""
    if values and min(values) > 0:
        axes.set_yscale("log")
        axes.yaxis.set_major_formatter("{x:g}")
        axes.yaxis.set_minor_formatter("{x:g}" if max(values) < 10 * min(values) else "")


def samples_text(results: Results, metric: str) -> str:
    """Return `n = 384 images, 3 seeds` for captions."""
    counts = results.num_samples(metric)
    images = f"n = {' or '.join(f'{count:,}' for count in counts)} images, " if counts else ""
    seeds = len(results.plan.seeds)
    return f"{images}{seeds} {'seed' if seeds == 1 else 'seeds'}"


def direction_text(metric: str) -> str:
    """Return `Lower is better.`, `Higher is better.` or nothing."""
    return {True: "Lower is better.", False: "Higher is better.", None: ""}[display(metric).lower_is_better]
