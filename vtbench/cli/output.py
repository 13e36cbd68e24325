"""What all verbs print with: plain text that survives a pipe, and tables."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence

from rich import box
from rich.console import Console
from rich.table import Table

PIPE_WIDTH = 160
"""Columns of a table that goes to a file or pipe, whose reader can scroll."""


MOST_WRAPPED_ROWS = 200
"""Longer tables are not fitted to the width of the screen, which takes a millisecond a row."""


def console() -> Console:
    """Return a console on standard output; it colours nothing by itself and reads no markup."""
    made = Console(highlight=False, markup=False, emoji=False, soft_wrap=True)
    return made if made.is_terminal else Console(highlight=False, markup=False, emoji=False, width=PIPE_WIDTH)


def say(text: str) -> None:
    """Print a line as it is."""
    console().print(text, soft_wrap=True)


def show_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[str]], numeric: Iterable[str] = ()) -> None:
    """Print a table; the columns named in `numeric` are set to the right."""
    right, rows = set(numeric), list(rows)
    if len(rows) > MOST_WRAPPED_ROWS:
        say("\n".join(plain_table(title, columns, rows, right)))
        return
    table = Table(title=title, title_justify="left", title_style="bold", box=box.SIMPLE_HEAD)
    for column in columns:
        table.add_column(column, justify="right" if column in right else "left", overflow="fold")
    for row in rows:
        table.add_row(*row)
    console().print(table, soft_wrap=False)


def plain_table(
    title: str, columns: Sequence[str], rows: Sequence[Sequence[str]], numeric: Container[str] = ()
) -> list[str]:
    """Return a table as lines of text, however long: nothing is wrapped, and thousands of rows take no time."""
    widths = [max(map(len, column)) for column in zip(columns, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        padded = zip(columns, cells, widths, strict=True)
        return "  ".join(
            cell.rjust(width) if name in numeric else cell.ljust(width) for name, cell, width in padded
        ).rstrip()

    return [title, line(columns), "─" * (sum(widths) + 2 * len(widths) - 2), *map(line, rows)]


def duration(seconds: float) -> str:
    """Return seconds as a reader says them: `42 s`, `3 min 05 s`, `2 h 10 min`, `3.1 d`."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    if seconds < 3600:
        return f"{int(seconds) // 60} min {int(seconds) % 60:02d} s"
    if seconds < 48 * 3600:
        return f"{int(seconds) // 3600} h {int(seconds) % 3600 // 60:02d} min"
    return f"{seconds / 86400:.1f} d"


def count(number: float) -> str:
    """Return a number with a unit prefix: `56.3M`, `1.2T`."""
    for limit, unit in ((1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
        if number >= limit:
            return f"{number / limit:.3g}{unit}"
    return f"{number:.3g}"
