"""Model cards by name: what `cost` can count.

A name is a model of a published system (`baselines/*.yaml`) or a registered component with its default options. Names
are unique over all of them. Nothing here imports torch: options are checked when a model is built.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from vtbench.errors import RegistryError, StudyError, suggest
from vtbench.models.generators import GENERATORS
from vtbench.models.tokenizers import TOKENIZERS
from vtbench.registry import Registry
from vtbench.schema.baseline import ModelCard
from vtbench.schema.cost import Workload
from vtbench.study.baselines import BASELINES, baseline_names, read_baseline
from vtbench.study.yaml_file import Position

REGISTRIES: dict[str, Registry] = {"tokenizer": TOKENIZERS, "generator": GENERATORS}
"""The registry that holds the components of each kind of model."""


def load_cards(folder: Path = BASELINES) -> dict[str, ModelCard]:
    """Return all cards by name: first those of the files, in the files' order, then the registered components.

    Raises:
        StoreError, StudyError: a file is broken, two models have the same name, or a card names an unknown component;
            the message begins with `file:line`.
    """
    cards: dict[str, ModelCard] = {}
    places: dict[str, Position] = {}
    for system in baseline_names(folder):
        file, baseline = read_baseline(system, folder)
        for name, card in baseline.models.items():
            place = file.locate(("models", name))
            if name in places:
                raise StudyError(f"{place}: the model '{name}' is at {places[name]} too; give one another name.")
            _check(name, card, place, str(file.locate(("models", name, "config", "name"))))
            cards[name], places[name] = card, place
    return cards | {name: card for kind in REGISTRIES for name, card in _registered(kind).items()}


def find_card(name: str, folder: Path = BASELINES) -> ModelCard:
    """Return the card called `name`.

    Raises:
        RegistryError: there is none; the message has the nearest name.
    """
    cards = load_cards(folder)
    if name not in cards:
        raise RegistryError(f"No model is called '{name}'.{suggest(name, cards)}")
    return cards[name]


def workload(
    card: ModelCard,
    resolution: str | None = None,
    num_tokens: int | None = None,
    patch: int | None = None,
    batch_size: int = 1,
) -> Workload:
    """Return the work to count: what was asked for, and the card's own choice for the rest.

    Where tokens stand for squares of pixels, the size decides their number and the other way round.

    Args:
        card: the model.
        resolution: `HxW` in pixels.
        num_tokens: latents of a tokenizer, image tokens of a generator.
        patch: patch of an adaptive tokenizer, in pixels.
        batch_size: images at a time.

    Raises:
        StudyError: the tokens form no grid of the image's shape.
    """
    if card.grid is None:
        size, number = resolution or card.resolution, num_tokens or card.num_tokens
    elif num_tokens is None:
        size = resolution or card.resolution
        number = card.grid.count(size)
    else:
        size, number = resolution or card.grid.square(num_tokens) or "", num_tokens
        if not size or card.grid.shape(size, num_tokens) is None:
            raise StudyError(
                f"{num_tokens} tokens form no grid in the shape of {size or 'a square image'}, and each token of this"
                f" model stands for a square of pixels. Give the size (--resolution) alone, or a number that fits it."
            )
    return Workload(
        resolution=size,
        num_tokens=number,
        patch=card.patch if patch is None else patch,
        batch_size=batch_size,
    )


def _check(name: str, card: ModelCard, place: Position, where: str) -> None:
    if any(name in registry for registry in REGISTRIES.values()):
        raise StudyError(f"{place}: '{name}' is a registered component; a model needs a name of its own.")
    try:
        REGISTRIES[card.kind].check(card.config["name"])
    except RegistryError as error:
        raise StudyError(f"{where}: models.{name}.config.name: {error}") from error


@cache
def _registered(kind: str) -> Mapping[str, ModelCard]:
    source = "this project's defaults; see the component's module"
    return {
        name: ModelCard(kind=kind, title=f"{name} with its default options", config={"name": name}, source=source)  # type: ignore[arg-type]
        for name in REGISTRIES[kind].names()
    }
