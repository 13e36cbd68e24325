import re

import pytest

from vtbench.report import tables
from vtbench.report.gather import gather, load
from vtbench.report.results import Results


@pytest.fixture(scope="module")
def results(full_report):
    return Results(load(full_report))


@pytest.fixture(scope="module")
def partial(synthetic, tmp_path_factory):
    folder = tmp_path_factory.mktemp("partial")
    leave_out = ("grid-0", "grid-1", "grid-2")
    store, plan = synthetic.study(folder / "runs", leave_out=leave_out, fail=("rope-1",))
    return Results(gather(store, plan.id, folder / "out"))


def _column(table, group, name):
    return [(column.group, column.name) for column in table.columns].index((group, name))


def test_the_main_table_comes_first_and_holds_the_mean_image(results):
    first = tables.measurements(results)[0]
    assert first.title == "Parameters, GFLOPs (full), rFD (EfficientNet-Lite0), PSNR"
    assert len(first.columns) == 11
    assert first.groups[1:] == [
        ("Parameters (M)", 1),
        ("GFLOPs (full) ↓", 3),
        ("rFD (EfficientNet-Lite0) ↓", 3),
        ("PSNR (dB) ↑", 3),
    ]
    assert all(len(row) == len(first.columns) for row in first.rows)
    mean_image = {row[0]: row for row in first.rows}["Mean image (baseline)"]
    assert mean_image[_column(first, "PSNR (dB) ↑", "32×32")] == "11.60"
    assert mean_image[_column(first, "rFD (EfficientNet-Lite0) ↓", "32×32")] == "–"


def test_costs_have_a_table_of_their_own(results):
    assert tables.measurements(results)[-1].title == "Encode, Decode, Peak memory"


def test_notes_state_images_seeds_convention_and_warn(results):
    notes = " ".join(tables.measurements(results)[0].notes)
    assert "over 3 seeds. n = 384 images" in notes
    assert "2 × multiply-accumulate, attention included" in notes
    assert "n = 384 < 2,048: the distance is biased upward, compare arms only with each other" in notes


def test_missing_cells_stay(partial):
    first = tables.measurements(partial)[0]
    rows = {row[0]: row for row in first.rows}
    assert set(rows["Dynamic grid"][1:]) == {"missing"}
    assert rows["RoPE"][_column(first, "PSNR (dB) ↑", "32×32")].endswith("(2/3)")
    assert any("k of 3 seeds only" in note for note in first.notes)
    status = {row[2]: row[3] for row in tables.runs(partial).rows}
    assert status["grid-0"] == "missing"
    assert status["rope-1"] == "failed: NonFiniteLossError: the loss became NaN at step 31"


def test_a_winner_is_marked_only_where_it_beats_every_arm(results):
    first = tables.measurements(results)[0]
    rows = [row[0] for row in first.rows]
    best = rows.index("Dynamic grid + adaptive patch")
    assert (best, _column(first, "rFD (EfficientNet-Lite0) ↓", "96×96")) in first.marked
    assert {row for row, _ in first.marked} == {best}
    assert not any("GFLOPs" in first.columns[column].group for _, column in first.marked)
    assert any(note.startswith("Bold: ") for note in first.notes)


def test_one_seed_shows_intervals_over_images_and_marks_nothing(synthetic, tmp_path):
    store, plan = synthetic.study(tmp_path / "runs", seeds=(0,))
    results = Results(gather(store, plan.id, tmp_path / "out"))
    first = tables.measurements(results)[0]
    cell = first.rows[0][_column(first, "rFD (EfficientNet-Lite0) ↓", "32×32")]
    assert re.fullmatch(r"[\d.]+ \[[\d.]+,\u00a0[\d.]+\]", cell)
    assert not first.marked
    assert first.notes[0].startswith("One seed, so no spread over seeds; [95 % interval over images]")


def test_few_images_are_warned_of_up_to_ten_thousand(results):
    assert tables.sample_warnings(results, "rfd_effnet")[0].startswith("rFD (EfficientNet-Lite0): n = 384 < 2,048")
    data = results.data
    values = tuple(value.model_copy(update={"num_samples": 5000}) for value in data.values)
    many = Results(data.model_copy(update={"values": values}))
    assert "n = 5,000 < 10,000" in tables.sample_warnings(many, "rfd_effnet")[0]
    assert tables.sample_warnings(many, "psnr") == []


def test_fairness_says_where_arms_differ(results):
    table = tables.fairness(results)
    assert table.rows[0] == ("RoPE", "1.044", "25.00", "9,600", "600", "32")
    assert table.notes[0] == (
        "Arms are equal in images seen, steps and latent tokens and differ in parameters (the most has 0.88 % more than"
        " the least) and training FLOPs (the most has 2× the least)."
    )


def test_credit_is_that_of_the_data(results, synthetic):
    assert tables.credit(results) == "OpenMoji, CC BY-SA 4.0"
    other = results.data.model_copy(update={"plan": synthetic.plan(data="imagefolder")})
    assert tables.credit(Results(other)) is None


def test_protocols_are_listed(results):
    rows = {row[1]: row[3] for row in tables.protocols(results).rows}
    assert rows["psnr"] == "0123456789ab"
    assert rows["gflops"] == "cost"
