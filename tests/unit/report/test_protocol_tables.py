from vtbench.report import protocol_tables
from vtbench.report.protocol_data import Disagreement


def test_a_column_is_a_protocol_and_a_row_a_set_of_reconstructions(protocol_data):
    presets, changes = protocol_tables.values(Disagreement(protocol_data), "rfd_effnet")
    assert [column.name for column in presets.columns][1:] == ["canonical", "seed_voken", "unitok, images of the size"]
    assert presets.rows[0] == ("blur, σ 1", "20.00", "50.00", "20.25")
    assert len(set(presets.rows[-1][1:])) == 3
    assert set(presets.rows[-1][1:]) <= set(protocol_data.protocols)
    assert [column.name for column in changes.columns][1] == "canonical"
    assert any("n = 4 images, fewer than the 2,048" in note for note in presets.notes)


def test_what_cannot_be_paired_is_no_number(protocol_data):
    _, changes = protocol_tables.values(Disagreement(protocol_data), "psnr")
    assert changes.rows[0][-1] == "–"
    assert any("other images" in note for note in changes.notes)


def test_differences_are_signed_and_to_the_reference_arm(protocol_data):
    table = protocol_tables.distances(Disagreement(protocol_data))
    rows = {row[0]: row[1:] for row in table.rows}
    assert "canonical" not in rows
    assert rows["seed_voken"] == ("+30.00", "+30.00", "−3.00", "−3.00")
    assert rows["other images"][2:] == ("–", "–")


def test_each_arm_is_told_by_its_fields(protocol_data):
    rows = {row[0]: row[1:] for row in protocol_tables.arms(Disagreement(protocol_data)).rows}
    assert rows["canonical"] == ("canonical", "the reference")
    assert "rounding: truncate; " in f"{rows['cut to 8 bits'][1]}; "
    assert "metric.jpeg: 75" in rows["JPEG references"][1]


def test_findings_name_spread_the_largest_change_and_wrong_orders(protocol_data):
    text = " ".join(protocol_tables.findings(Disagreement(protocol_data)))
    assert "(JPEG of quality 20) reads from 40.00 (canonical) to 70.00 (seed_voken)" in text
    assert "(seed_voken) under the presets, 150 % of the smallest step between two of these sets." in text
    assert "other images +500.00; unitok, larger images +400.00; JPEG references +5.00; cut to 8 bits +1.00." in text
    assert "2 of 6 comparisons of rFD (EfficientNet-Lite0)" in text
    assert "blur, σ 1 under seed_voken reads worse than JPEG of quality 20 under canonical" in text
    assert "rFID is missing: a file is missing." in text


def test_findings_say_when_no_order_is_wrong(protocol_data):
    same = [cell for cell in protocol_data.values if cell.arm in ("canonical", "unitok")]
    text = protocol_tables.findings(Disagreement(protocol_data.model_copy(update={"values": tuple(same)})))
    assert any("No comparison of two presets' PSNR takes the more damaged images" in sentence for sentence in text)
    nothing = protocol_data.model_copy(update={"values": ()})
    assert protocol_tables.findings(Disagreement(nothing)) == ["Nothing has been measured."]
