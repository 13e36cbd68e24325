import pytest

from vtbench.report import tables
from vtbench.report.gather import gather, load
from vtbench.report.results import Results
from vtbench.report.statistics import Difference, Spread


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


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (None, "missing"),
        (Spread(17.256, 0.114, 3), "17.26 ±\u00a00.11"),
        (Spread(17.256, None, 1), "17.26 (1/3)"),
        (Spread(1.5, 0.0, 3), "1.50"),
    ],
)
def test_spread_text(found, text):
    assert tables.spread_text(found, 3) == text


@pytest.mark.parametrize(
    ("found", "text"),
    [
        (None, "missing"),
        (Difference(-1.234, None, 1), "−1.23"),
        (Difference(-1.234, (-2.0, -0.5), 3), "−1.23* [−2.00,\u00a0−0.50]"),
        (Difference(0.5, (-1.0, 2.0), 3), "+0.50 [−1.00,\u00a0+2.00]"),
    ],
)
def test_difference_text(found, text):
    assert tables.difference_text(found) == text


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


def test_differences_are_paired_to_the_reference(results):
    table = tables.differences(results)
    assert table.title == "Difference to RoPE"
    assert [row[0] for row in table.rows] == ["Learnable RoPE", "Dynamic grid", "Dynamic grid + adaptive patch"]
    far = _column(table, "rFD (EfficientNet-Lite0) ↓", "96×96")
    assert table.rows[2][far].startswith("−1")
    assert "* [" in table.rows[2][far]


def test_one_seed_has_differences_without_statements(synthetic, tmp_path):
    store, plan = synthetic.study(tmp_path / "runs", seeds=(0,))
    table = tables.differences(Results(gather(store, plan.id, tmp_path / "out")))
    assert table.notes == ("Arm minus reference. One seed: no statement about differences.",)
    assert not any("[" in cell for row in table.rows for cell in row)


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
