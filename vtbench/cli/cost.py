"""`cost`: what models cost, counted without weights, and with `--measure` by the clock."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Annotated, Any

import typer

from vtbench.cli.arguments import parse_overrides
from vtbench.cli.cost_figures import Figures, as_object, show_comparison, show_model, show_speeds, speeds_object
from vtbench.cli.output import count, show_table
from vtbench.cost.devices import DEVICE_NAMES, roofline_seconds
from vtbench.cost.devices import device as find_device
from vtbench.errors import CostError, RegistryError, StudyError, suggest
from vtbench.schema.base import parse_resolution
from vtbench.schema.baseline import ModelCard
from vtbench.schema.convention import Convention, applicable, convention
from vtbench.schema.cost import Workload
from vtbench.study.cards import load_cards, workload


def cost(
    models: Annotated[
        list[str] | None,
        typer.Argument(metavar="MODEL", help="Models; with none of them, they are listed.", show_default=False),
    ] = None,
    resolution: Annotated[
        str | None,
        typer.Option(
            "--resolution", metavar="HxW", help="Size of the image. [default: the model's]", show_default=False
        ),
    ] = None,
    tokens: Annotated[
        int | None,
        typer.Option(
            "--tokens",
            min=1,
            metavar="L",
            help="Latents of a tokenizer, image tokens of a generator. [default: the model's]",
            show_default=False,
        ),
    ] = None,
    patch: Annotated[
        int | None,
        typer.Option(
            "--patch",
            min=1,
            metavar="K",
            help="An adaptive tokenizer's patch. [default: its rule]",
            show_default=False,
        ),
    ] = None,
    pos_embed: Annotated[
        str | None,
        typer.Option("--pos-embed", metavar="NAME", help="Short for `--set pos_embed=NAME`.", show_default=False),
    ] = None,
    batch: Annotated[int, typer.Option("--batch", min=1, metavar="N", help="Images at a time.")] = 1,
    convention_name: Annotated[
        str, typer.Option("--convention", metavar="NAME", help="What counts; `full` always stands beside it.")
    ] = "full",
    device: Annotated[
        str,
        typer.Option("--device", metavar="NAME", help=f"For shortest times: {', '.join(DEVICE_NAMES)} (here)."),
    ] = "h100",
    measure: Annotated[
        bool, typer.Option("--measure", help="Also measure speed and memory on this machine, with random weights.")
    ] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print an object, or a list of them.")] = False,
    set_: Annotated[
        list[str] | None,
        typer.Option(
            "--set", metavar="OPTION=VALUE", help="Set an option of the models; may be repeated.", show_default=False
        ),
    ] = None,
) -> None:
    """Count what tokenizers and generators cost, without their weights, under named conventions.

    All figures are of the whole batch. The convention `full` (2 x multiply-accumulate, attention included) always
    stands beside the one asked for.

    Example: `python -m vtbench cost vibetoken-ss --resolution 1024x1024 --convention hook_no_mha`
    """
    cards = load_cards()
    if not models:
        show_table("models", ["name", "kind", "title"], [[name, card.kind, card.title] for name, card in cards.items()])
        return
    kind = convention(convention_name)
    if device not in DEVICE_NAMES:
        raise CostError(f"No device is called '{device}'.{suggest(device, DEVICE_NAMES)}")
    overrides = _overrides(set_, pos_embed)
    size = None if resolution is None else _size(resolution)
    chosen = {name: _card(name, cards, kind, patch) for name in dict.fromkeys(models)}
    works = {name: workload(card, size, tokens, patch, batch) for name, card in chosen.items()}
    if measure:
        # torch comes with it
        from vtbench.runner.measure import measure_models, refuse_what_does_not_fit

        refuse_what_does_not_fit(chosen, works, overrides)
    several = [_count(name, card, works[name], overrides, kind, device) for name, card in chosen.items()]
    objects = [as_object(figures) for figures in several]
    if not as_json:
        _show(several)
    if measure:
        measured = measure_models(chosen, {row.cost.model: row.cost.workload for row in several}, overrides)
        objects = [row | {"measured": speeds_object(measured, row["model"])} for row in objects]
        if not as_json:
            show_speeds(measured)
    if as_json:
        typer.echo(json.dumps(objects[0] if len(objects) == 1 else objects, indent=2))


def _show(several: Sequence[Figures]) -> None:
    for figures in several:
        show_model(figures)
    if len(several) > 1:
        show_comparison(several)


def _overrides(texts: list[str] | None, pos_embed: str | None) -> dict[str, Any]:
    """Return the options that `--set` and `--pos-embed` give."""
    found = parse_overrides(texts)
    if pos_embed is None:
        return found
    if "pos_embed" in found:
        raise StudyError("--pos-embed and --set pos_embed say the same; give one of them.")
    return found | {"pos_embed": pos_embed}


def _size(text: str) -> str:
    try:
        parse_resolution(text)
    except ValueError as error:
        raise StudyError(f"--resolution: {error}.") from error
    return text


def _card(name: str, cards: Mapping[str, ModelCard], kind: Convention, patch: int | None) -> ModelCard:
    """Return a model's card, after what can be checked without torch."""
    if name not in cards:
        raise RegistryError(
            f"No model is called '{name}'.{suggest(name, cards)} `python -m vtbench cost` lists them all."
        )
    card = cards[name]
    if not kind.applies_to(card.kind):
        raise CostError(
            f"The convention '{kind.name}' has no meaning for '{name}', a {card.kind}."
            f" Choose from: {', '.join(sorted(applicable(card.kind)))}."
        )
    if patch is not None and card.kind == "generator":
        raise CostError(f"'{name}' is a generator and has no patch; leave --patch out.")
    return card


def _count(
    name: str, card: ModelCard, work: Workload, overrides: Mapping[str, Any], kind: Convention, device: str
) -> Figures:
    """Count a model on the meta device."""
    # torch comes with them
    from vtbench.cost.model_cost import count_model
    from vtbench.runner.build import build_card

    counted = count_model(name, build_card(card, overrides, work), work)
    full, target = convention("full"), find_device(device)
    seconds = {
        part.name: roofline_seconds(float(full.figure(counted, part.name)), float(part.moved_bytes), target)
        for part in counted.components
    }
    title = card.title + "".join(f", {option} {value}" for option, value in overrides.items())
    best = f"{count(target.peak_flops)}FLOP/s ({target.precision}), {count(target.bandwidth_bytes)}B/s"
    return Figures(
        title=title,
        cost=counted,
        convention=kind,
        device=target.name,
        device_limits=f"{best}; {target.source}",
        seconds=seconds,
    )
