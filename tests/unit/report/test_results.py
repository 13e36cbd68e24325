import pytest

from vtbench.errors import ProtocolError
from vtbench.report.gather import load
from vtbench.report.results import RUN, Point, Results


@pytest.fixture(scope="module")
def results(full_report):
    return Results(load(full_report))


def test_rows_points_and_the_main_metric(results):
    assert [row.label for row in results.rows] == [
        "RoPE",
        "Learnable RoPE",
        "Dynamic grid",
        "Dynamic grid + adaptive patch",
    ]
    assert results.points == [Point("32x32", None), Point("48x48", None), Point("96x96", None)]
    assert results.main_metric == "rfd_effnet"
    assert results.training_sizes == {"32x32", "48x48"}
    assert results.points_of("num_parameters") == [RUN]
    assert results.num_samples("psnr") == [384]


def test_values_are_scaled_and_the_gain_is_a_difference(results):
    row, point = results.rows[0], results.points[0]
    assert results.by_seed(row, "num_parameters", RUN)[0] == pytest.approx(1.044096)
    psnr, gain = results.by_seed(row, "psnr", point), results.by_seed(row, "psnr_gain", point)
    assert gain == {seed: pytest.approx(value - 11.6) for seed, value in psnr.items()}
    assert list(gain) == [0, 1, 2]


def test_the_reference_is_found_at_the_same_axis_values(results):
    assert results.reference_of(results.rows[2]) is results.rows[0]
    assert results.reference_title == "RoPE"


def test_values_of_two_protocols_are_refused_and_both_are_named(full_report):
    data = load(full_report)
    values = list(data.values)
    last = max(index for index, value in enumerate(values) if value.metric == "psnr")
    values[last] = values[last].model_copy(update={"protocol": "ba9876543210"})
    changed = data.model_copy(update={"values": tuple(values)})
    with pytest.raises(ProtocolError, match=r"PSNR at 96×96 .*0123456789ab.*ba9876543210.*older version.* one column"):
        Results(changed)
    fields = {"0123456789ab": {"crop": "adm"}, "ba9876543210": {"crop": "none"}}
    with pytest.raises(ProtocolError, match=r"They differ in crop \('adm' against 'none'\)"):
        Results(changed.model_copy(update={"protocols": fields}))


def test_points_are_named_by_size_and_length():
    assert Point("32x48", None).label == "32×48"
    assert Point("32x48", 8).label == "32×48, L=8"
    assert Point("16x64", None).side == 32.0


def test_axis_values_are_part_of_a_rows_name(full_report):
    data = load(full_report)
    cells = tuple(
        cell.model_copy(update={"coordinates": {"train.steps": 100 * (1 + cell.seed % 2)}, "seed": 0})
        for cell in data.plan.cells
        if cell.seed < 2
    )
    rows = Results(data.model_copy(update={"plan": data.plan.model_copy(update={"cells": cells})})).rows
    assert [row.label for row in rows[:2]] == ["RoPE, steps=100", "RoPE, steps=200"]
    assert [row.arm_index for row in rows[:4]] == [0, 0, 1, 1]


def test_of_many_rows_the_best_of_each_arm_is_drawn(results, many_rows):
    assert results.drawn_rows == results.rows
    found = Results(many_rows)
    assert len(found.rows) == 80
    assert [row.label for row in found.drawn_rows] == [f"{row.label}, steps=5" for row in results.rows]


def test_the_reference_of_many_rows(many_rows):
    found = Results(many_rows)
    for row in found.rows:
        reference = found.reference_of(row)
        assert (reference.arm, reference.coordinates) == ("rope", row.coordinates)


def test_values_of_a_metric(results):
    everywhere = results.values_of("psnr")
    assert len(everywhere) == 4 * 3 * 3
    assert {value.resolution for value in results.values_of("psnr", results.points[1])} == {"48x48"}
    assert results.values_of("nothing") == results.values_of("psnr", RUN) == []


def test_points_of_generators_carry_the_way_of_sampling(generation_report):
    results = Results(load(generation_report))
    assert results.generates
    assert [point.label for point in results.points[:4]] == ["32×32, L=4", "32×32, L=16", "48×48, L=4", "48×48, L=16"]
    assert results.points[4].label == "32×32, L=4, CFG 2"
    assert results.usual_points("gfd_effnet") == results.points[:4]
    assert results.compared_points("gfd_effnet") == results.points
    assert results.training_sizes == {"32x32"}
    assert results.metrics == {
        *("gfd_effnet", "class_accuracy", "memorisation", "gflops", "num_parameters"),
        *("seconds_per_image", "seconds_per_image_sampling", "seconds_per_image_decoder"),
    }
    assert results.real("gfd_effnet", "48x48") == [7.25]
    row = results.rows[1]
    assert results.by_seed(row, "gfd_effnet", results.points[5]) == {
        0: 100 * 0.8 + 20 / 16 - 5,
        1: 100 * 0.8 + 20 / 16 - 4,
    }
