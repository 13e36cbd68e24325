import pytest

from vtbench.errors import ProtocolError, StoreError
from vtbench.report.protocol_data import Disagreement, load_protocols, save_protocols


def test_data_come_back_as_they_were(protocol_data, tmp_path):
    save_protocols(protocol_data, tmp_path)
    assert load_protocols(tmp_path) == protocol_data
    with pytest.raises(StoreError, match=r"data\.json is missing"):
        load_protocols(tmp_path / "empty")


def test_presets_are_apart_from_single_changes_and_misuse(protocol_data):
    found = Disagreement(protocol_data)
    assert [arm.name for arm in found.presets] == ["canonical", "seed_voken", "unitok"]
    assert [arm.name for arm in found.changes] == ["cut", "truncate", "jpeg", "others"]
    assert found.metrics == ["rfd_effnet", "psnr"]
    assert found.value("canonical", "blur_1", "rfd_effnet") == 20.0
    assert found.value("others", "blur_1", "psnr") is None


def test_an_arms_changes_are_those_of_all_its_metrics(protocol_data):
    found = Disagreement(protocol_data)
    arms = {arm.name: found.changed(arm) for arm in found.study.arms}
    assert arms["canonical"] == {}
    assert arms["truncate"] == {"rounding": ("round", "truncate"), "value_range": ("[0, 1]", "[-1, 1]")}
    assert arms["seed_voken"]["rounding"] == ("round", "none")
    assert arms["seed_voken"]["rounding (PSNR)"] == ("round", "truncate")


def test_an_arm_that_measured_in_two_ways_is_refused(protocol_data):
    first, *rest = protocol_data.values
    other = next(cell.protocol for cell in rest if cell.arm == "truncate" and cell.metric == first.metric)
    mixed = protocol_data.model_copy(update={"values": (first.model_copy(update={"protocol": other}), *rest)})
    with pytest.raises(
        ProtocolError, match=r"canonical was measured in two ways.*rounding \('truncate' against 'round'"
    ):
        Disagreement(mixed)


def test_the_refusal_is_the_one_that_tables_give(protocol_data):
    text = Disagreement(protocol_data).refusal("psnr")
    assert "PSNR was measured in two ways" in text
    assert "rounding ('round' against 'truncate')" in text
    alone = [cell for cell in protocol_data.values if cell.arm == "canonical"]
    assert Disagreement(protocol_data.model_copy(update={"values": tuple(alone)})).refusal("psnr") is None
