import pytest
from pydantic import ValidationError

from vtbench.errors import StudyError
from vtbench.schema.preset import PRESETS
from vtbench.schema.protocol_study import Degradation, ProtocolArm


def test_an_arm_is_its_preset_with_fields_in_place():
    assert ProtocolArm(name="a", title="A", preset="titok").resolved() == PRESETS["titok"]
    changed = ProtocolArm(name="a", title="A", preset="seed_voken", set={"rounding": "round"}).resolved()
    assert changed.of(over_features=False)["rounding"] == "round"
    assert changed.of(over_features=True)["rounding"] == "round"
    assert changed.fields["crop"] == PRESETS["seed_voken"].fields["crop"]
    assert PRESETS["seed_voken"].fields["rounding"] == "truncate"


def test_an_arm_without_a_preset_is_refused():
    with pytest.raises(StudyError, match="Did you mean 'alit'"):
        ProtocolArm(name="a", title="A", preset="alitt").resolved()


def test_a_degradation_is_of_a_known_kind_and_not_of_strength_0():
    for wrong in ({"kind": "smear"}, {"strength": 0.0}):
        with pytest.raises(ValidationError):
            Degradation(**{"name": "d", "title": "D", "kind": "blur", "strength": 1.0, **wrong})
