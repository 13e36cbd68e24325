import pytest

from vtbench.schema.preset import CANONICAL, PRESETS


def test_all_presets_with_what_they_change(call):
    text = call("protocols").stdout
    for name, preset in PRESETS.items():
        assert name in text
        if preset is not CANONICAL:
            assert f"{name} changes {', '.join(preset.changes(CANONICAL))}" in text
    assert all(consequence in text for consequence in CANONICAL.consequences)


@pytest.mark.parametrize("name", PRESETS)
def test_one_preset_field_by_field(call, name):
    preset = PRESETS[name]
    text = call("protocols", name).stdout
    assert preset.title in text
    assert preset.describes in text
    assert all(consequence in text for consequence in preset.consequences)
    rows = [line.split() for line in text.splitlines()]
    for field, values in preset.changes(CANONICAL).items():
        first = [{True: "yes", False: "no"}.get(value, str(value)).split()[0] for value in values]
        row = next(row for row in rows if row[: len(field.split())] == field.split())
        assert row[len(field.split())] == first[0]
        assert first[1] in row[len(field.split()) + 1 :]


def test_a_wrong_name(call):
    result = call("protocols", "sed_voken")
    assert result.exit_code == 2
    assert result.stderr.strip() == "No protocol is called 'sed_voken'. Did you mean 'seed_voken'?"
