"""Published figures beside our own."""

from __future__ import annotations

from collections import Counter

from vtbench.report.metrics import display
from vtbench.report.tables import NONE, Column, Table
from vtbench.schema.baseline import Baseline, PublishedFigure
from vtbench.schema.study import Arm


def published(baseline: Baseline, arms: tuple[Arm, ...]) -> Table:
    """Return a system's figures, one row a published row: those of the study's arms first, in the arms' order."""
    places = list(dict.fromkeys(map(_place, baseline.figures)))
    order = {_plain(name): index for index, arm in reversed([*enumerate(arms)]) for name in (arm.name, arm.title)}
    names = list(dict.fromkeys(figure.row for figure in baseline.figures))
    names.sort(key=lambda name: order.get(_plain(name), len(arms)))
    cells = {(figure.row, _place(figure)): figure for figure in baseline.figures}
    rows = tuple(
        (name, *(f"{cells[name, at].value:,.10g}" if (name, at) in cells else NONE for at in places)) for name in names
    )
    comparable = all(figure.comparable for figure in baseline.figures)
    title = f"Published: {baseline.title}" + ("" if comparable else " (not comparable)")
    columns = (Column("Row", numeric=False), *(Column(point, group) for group, point in places))
    return Table(title, columns, rows, tuple(_notes(baseline)))


def _place(figure: PublishedFigure) -> tuple[str, str]:
    """Return the group and name of a figure's column."""
    title = display(figure.metric).title
    unit = figure.unit or display(figure.metric).unit
    params = ", ".join(
        str(value).replace("x", "×") if key == "resolution" else f"{key}={value}" if key == "num_tokens" else str(value)
        for key, value in figure.params.items()
    )
    return (f"{title} ({unit})" if unit and unit not in title else title, params)


def _plain(name: str) -> str:
    return "".join(character for character in name.lower() if character.isalnum())


def _notes(baseline: Baseline) -> list[str]:
    """Return how figures were measured and why they can or cannot be compared, each said once."""
    whole = Counter(map(_place, baseline.figures))
    notes: dict[tuple[str, str], dict[str, list[PublishedFigure]]] = {}
    for figure in baseline.figures:
        notes.setdefault((figure.source, figure.why), {}).setdefault(figure.protocol, []).append(figure)
    lines = []
    for (source, why), protocols in notes.items():
        how = "; ".join(f"{_where(figures, whole)}: {protocol}" for protocol, figures in protocols.items())
        lines.append(f"{why} {how}. Source: {source}.")
    return lines


def _where(figures: list[PublishedFigure], whole: Counter[tuple[str, str]]) -> str:
    """Return the columns of figures of one protocol, with their rows where these are not the whole column."""
    columns: dict[tuple[str, str], list[str]] = {}
    for figure in figures:
        columns.setdefault(_place(figure), []).append(figure.row)
    return ", ".join(
        " ".join(filter(None, place)) + ("" if len(rows) == whole[place] else f" of {', '.join(rows)}")
        for place, rows in columns.items()
    )
