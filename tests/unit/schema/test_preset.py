import pytest
from pydantic import ValidationError

from vtbench.errors import StudyError
from vtbench.schema.preset import CANONICAL, PRESETS, Preset, find_preset

ROWS = {
    # crop, filter, antialias, to 8 bits for pixels, for features: spec of the systems' public code
    "canonical": ("adm", "box halvings, then bicubic", True, "round", "round"),
    "titok": ("shorter side", "bicubic", True, "round", "round"),
    "llamagen": ("adm", "box halvings, then bicubic", True, "half up", "half up"),
    "seed_voken": ("shorter side", "bilinear", False, "truncate", "none"),
    "unitok": ("centre only", "none", False, "round", "round"),
    "alit": ("centre only", "none", False, "truncate", "truncate"),
}


def test_all_presets_are_here():
    assert list(PRESETS) == list(ROWS)
    assert all(name == preset.name for name, preset in PRESETS.items())


@pytest.mark.parametrize("name", ROWS)
def test_what_a_preset_decides(name):
    pixels, features = PRESETS[name].of(over_features=False), PRESETS[name].of(over_features=True)
    keys = ("crop", "resize_filter", "antialias", "rounding")
    assert (*(pixels[key] for key in keys), features["rounding"]) == ROWS[name]
    assert set(pixels) == set(CANONICAL.fields)


def test_changes_are_those_against_another():
    assert CANONICAL.changes(CANONICAL) == {}
    assert PRESETS["titok"].changes(CANONICAL) == {
        "crop": ("adm", "shorter side"),
        "resize_filter": ("box halvings, then bicubic", "bicubic"),
        "split_order": ("as stored", "no splits"),
    }
    assert PRESETS["seed_voken"].changes(CANONICAL)["rounding (features)"] == ("round", "none")
    assert "reference (generated images)" in PRESETS["llamagen"].changes(CANONICAL)


def test_every_other_preset_differs_and_says_what_comes_of_it():
    others = [preset for preset in PRESETS.values() if preset is not CANONICAL]
    assert all(preset.changes(CANONICAL) and preset.consequences and preset.source for preset in others)


def test_a_field_that_no_protocol_has_is_refused():
    fields = {**CANONICAL.fields, "crp": "adm"}
    with pytest.raises(ValidationError, match="Did you mean 'crop'"):
        Preset(name="x", title="x", describes="x", fields=fields, source="x")


def test_a_wrong_name_gets_the_nearest():
    assert find_preset("alit").title == "ALIT, KARL"
    with pytest.raises(StudyError, match="Did you mean 'llamagen'"):
        find_preset("lamagen")
