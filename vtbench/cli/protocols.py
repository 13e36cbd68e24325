"""`protocols`: what each named protocol does to images, and what it changes against ours."""

from __future__ import annotations

from typing import Annotated, Any

import typer

from vtbench.cli.output import say, show_table
from vtbench.schema.preset import CANONICAL, PRESETS, Preset, find_preset


def protocols(
    name: Annotated[
        str | None, typer.Argument(metavar="[NAME]", help="One of them; all if left out.", show_default=False)
    ] = None,
) -> None:
    """Explain the protocols under which systems publish, and what each changes against ours.

    Values of different protocols are never compared: their fingerprints differ.

    Example: `python -m vtbench protocols llamagen`
    """
    if name is None:
        _overview()
    else:
        _explain(find_preset(name))


def _overview() -> None:
    columns = ["name", "of", "crop", "resize", "to 8 bits", "features see"]
    rows = []
    for preset in PRESETS.values():
        fields, features = preset.of(over_features=False), preset.of(over_features=True)
        resize = f"{fields['resize_filter']}{'' if fields['antialias'] else ', not antialiased'}"
        rounding = f"{fields['rounding']} of {fields['value_range']}"
        seen = "floats" if features["rounding"] == "none" else "8 bits"
        crop = str(fields["crop"])
        resize = "none" if fields["resize_filter"] == "none" else resize
        seen = f"{seen}, {features['preprocessing']}"
        rows.append([preset.name, preset.title, crop, resize, rounding, seen])
    show_table("protocols", columns, rows)
    for preset in PRESETS.values():
        if preset is not CANONICAL:
            say(f"{preset.name} changes {', '.join(preset.changes(CANONICAL))}")
    say("")
    for consequence in CANONICAL.consequences:
        say(f"- {consequence}")
    say("`python -m vtbench protocols NAME` says what one of them changes, field by field.")


def _explain(preset: Preset) -> None:
    say(f"{preset.name}: {preset.title}")
    say(preset.describes)
    changes = preset.changes(CANONICAL)
    if changes:
        rows = [[field, _text(ours), _text(theirs)] for field, (ours, theirs) in changes.items()]
        show_table(f"what it changes against {CANONICAL.name}", ["field", CANONICAL.name, preset.name], rows)
        same = [field for field in preset.fields if field not in changes]
        say(f"the same: {', '.join(same) or 'nothing'}")
    else:
        show_table("fields", ["field", "value"], [[field, _text(value)] for field, value in preset.fields.items()])
        for field, value in preset.generation.items():
            say(f"{field} of generated images: {_text(value)}")
    for consequence in preset.consequences:
        say(f"- {consequence}")
    say(f"source: {preset.source}")


def _text(value: Any) -> str:
    return {True: "yes", False: "no"}[value] if isinstance(value, bool) else str(value)
