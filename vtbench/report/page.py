"""What all reports share: one content, written as Markdown, as one self-contained HTML file, and as figures.

`NAME.md` and `NAME.html` in `templates/` are the two forms of the report `NAME`. A report is a pure function of its
data, so writing it and checking a committed one are the same rendering.
"""

from __future__ import annotations

import base64
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from vtbench.errors import StoreError
from vtbench.report.plots.style import Drawing, styled
from vtbench.report.tables import Table
from vtbench.schema.base import canonical_json
from vtbench.store.files import read_text, write_atomic

MARKDOWN, HTML, FIGURES = "README.md", "index.html", "figures"
_SPECIAL = re.compile(r"[&<>\\`*\[\]|~_]")
_IMAGE = re.compile(r"data:image/png;base64,[A-Za-z0-9+/=]*")


@dataclass(frozen=True, kw_only=True)
class Page:
    """A report, ready to be written.

    Attributes:
        template: name of its two templates, without the ending.
        context: everything that they show, except the drawings.
        command: what renders the report again; shown in it, and in messages.
        drawings: figure's name -> drawing, in their order.
    """

    template: str
    context: Mapping[str, Any]
    command: str
    drawings: Mapping[str, Drawing] = field(default_factory=dict)

    def write(self, folder: Path) -> Path:
        """Write all files into `folder`, remove figures of an earlier report, and return the path of the HTML file."""
        with styled():
            images = {name: drawing.png() for name, drawing in self.drawings.items()}
        for name, image in images.items():
            write_atomic(folder / FIGURES / f"{name}.png", image, sync=False)
        for old in (folder / FIGURES).glob("*.png"):
            if old.stem not in images:
                old.unlink()
        write_atomic(folder / MARKDOWN, self._text("md", {}))
        write_atomic(folder / HTML, self._text("html", images))
        return folder / HTML

    def check(self, folder: Path) -> None:
        """Raise a `StoreError` if the files in `folder` are not these.

        The pictures are not compared: their bytes change with the version of matplotlib.
        """
        for name, form in ((MARKDOWN, "md"), (HTML, "html")):
            now = _IMAGE.sub("", self._text(form, dict.fromkeys(self.drawings, b"")))
            if _IMAGE.sub("", read_text(folder / name)) != now:
                raise StoreError(f"{folder / name} is stale: run `{self.command}`.")
        for name in self.drawings:
            if not (folder / FIGURES / f"{name}.png").exists():
                raise StoreError(f"{folder / FIGURES / name}.png is missing: run `{self.command}`.")

    def _text(self, form: str, images: Mapping[str, bytes]) -> str:
        """Return the text of one form, ending in one line break."""
        environment = Environment(
            loader=PackageLoader("vtbench.report"),
            autoescape=True,
            undefined=StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters |= {"md": markdown, "code": code, "json": canonical_json}
        environment.filters |= {"md_rows": markdown_rows, "html_rows": html_rows}
        encoded = {name: base64.b64encode(data).decode() for name, data in images.items()}
        template = environment.get_template(f"{self.template}.{form}")
        text = template.render(**self.context, drawings=self.drawings, command=self.command, images=encoded)
        return re.sub(r"\n{3,}", "\n\n", text).strip() + "\n"


def markdown(text: object) -> Markup:
    """Return plain text as Markdown that shows just that text, on one line."""
    line = " ".join(str(text).split())
    if not _SPECIAL.search(line):
        return Markup(line)
    line = line.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    line = re.sub(r"([\\`*\[\]|~])", r"\\\1", line)
    return Markup(re.sub(r"(?<!\w)_|_(?!\w)", r"\\_", line))


def markdown_rows(table: Table) -> Markup:
    """Return a table's rows as lines of Markdown; a template's own loops take five times as long."""
    lines = []
    for row_index, row in enumerate(table.rows):
        cells = [markdown(cell) for cell in row]
        for index in range(len(cells)):
            if (row_index, index) in table.marked:
                cells[index] = Markup(f"**{cells[index]}**")
        lines.append(f"| {' | '.join(cells)} |")
    return Markup("\n".join(lines))


def html_rows(table: Table) -> Markup:
    """Return a table's rows as HTML: the first cell of each its heading."""
    kinds = ["number" if column.numeric else "text" for column in table.columns]
    lines = []
    for row_index, row in enumerate(table.rows):
        parts = [f'<tr><th scope="row">{escape(row[0])}</th>']
        for index, cell in enumerate(row[1:], start=1):
            text = f"<strong>{escape(cell)}</strong>" if (row_index, index) in table.marked else escape(cell)
            parts.append(f'<td class="{kinds[index]}{" missing" if cell == "missing" else ""}">{text}</td>')
        lines.append("".join([*parts, "</tr>"]))
    return Markup("\n".join(lines))


def code(text: object) -> Markup:
    """Return plain text as a Markdown code span that also stands in a table."""
    line = " ".join(str(text).split()).replace("`", "'").replace("|", r"\|")
    return Markup(f"`{line}`")
