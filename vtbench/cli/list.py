"""`list`: what there is to choose from."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from enum import StrEnum
from functools import partial
from pathlib import Path
from typing import Annotated

import typer

from vtbench.cli.arguments import load_any_study
from vtbench.cli.output import show_table
from vtbench.data import DATASETS
from vtbench.errors import VtbenchError
from vtbench.evaluate import METRICS
from vtbench.features import FEATURES
from vtbench.models.generators import GENERATORS
from vtbench.models.tokenizers import TOKENIZERS
from vtbench.study.baselines import baseline_names, load_baseline
from vtbench.study.cards import load_cards
from vtbench.study.load import STUDIES

Rows = Iterator[tuple[str, str]]


class Kind(StrEnum):
    """What can be listed."""

    STUDIES = "studies"
    TOKENIZERS = "tokenizers"
    GENERATORS = "generators"
    DATASETS = "datasets"
    METRICS = "metrics"
    FEATURES = "features"
    BASELINES = "baselines"
    MODELS = "models"


def list_names(
    kind: Annotated[
        Kind | None, typer.Argument(help="What to list; everything if left out.", show_default=False)
    ] = None,
) -> None:
    """List studies, tokenizers, generators, data sets, metrics, feature networks, published baselines or models.

    Example: `python -m vtbench list metrics`
    """
    for one in [kind] if kind is not None else Kind:
        rows = list(_ROWS[one]())
        show_table(one.value, ["name", _ABOUT[one]], rows or [("none", "")])


def _registry(names: list[str], about: str) -> Rows:
    yield from ((name, about) for name in names)


def _studies() -> Rows:
    for path in sorted(STUDIES.glob("*.yaml")):
        yield path.stem, _first_line(partial(_question, path))


def _baselines() -> Rows:
    for name in baseline_names():
        yield name, _first_line(partial(_title, name))


def _models() -> Rows:
    for name, card in load_cards().items():
        yield name, f"{card.kind}: {card.title}"


def _question(path: Path) -> str:
    return load_any_study(path).question


def _title(name: str) -> str:
    return load_baseline(name).title


def _first_line(read: Callable[[], str]) -> str:
    """Return the first line of a text, or of why it cannot be read: one broken file must not hide the others."""
    try:
        return read().strip().partition("\n")[0]
    except VtbenchError as error:
        return f"broken: {str(error).partition(chr(10))[0]}"


_ABOUT = {
    Kind.STUDIES: "question",
    Kind.TOKENIZERS: "used as",
    Kind.GENERATORS: "used by",
    Kind.DATASETS: "used as",
    Kind.METRICS: "used as",
    Kind.FEATURES: "used by",
    Kind.BASELINES: "title",
    Kind.MODELS: "for `cost`",
}
_ROWS: dict[Kind, Callable[[], Rows]] = {
    Kind.STUDIES: _studies,
    Kind.TOKENIZERS: lambda: _registry(TOKENIZERS.names(), "tokenizer: {name: ...}"),
    Kind.GENERATORS: lambda: _registry(GENERATORS.names(), "cost NAME"),
    Kind.DATASETS: lambda: _registry(DATASETS.names(), "data: {name: ...}"),
    Kind.METRICS: lambda: _registry(METRICS.names(), "metrics: [...]"),
    Kind.FEATURES: lambda: _registry(FEATURES.names(), "metrics and losses"),
    Kind.BASELINES: _baselines,
    Kind.MODELS: _models,
}
