"""Tables of generators: a row for each arm, way of sampling and length, real images above."""

import pytest

from vtbench.report.comparison_tables import differences
from vtbench.report.findings import findings
from vtbench.report.gather import load
from vtbench.report.generation_tables import generation_measurements
from vtbench.report.results import RUN, Results
from vtbench.report.tables import MISSING
from vtbench.schema.run import Component


@pytest.fixture(scope="module")
def results(generation_report):
    return Results(load(generation_report))


def _column(table, heading, size):
    names = [(column.group, column.name) for column in table.columns]
    return [row[names.index((heading, size))] for row in table.rows]


def test_a_row_for_each_arm_way_and_length_and_a_column_for_each_size(results):
    quality, cost, _, once = generation_measurements(results)
    assert quality.rows[0][:3] == ("Validation images", "–", "–")
    assert [row[:3] for row in quality.rows[1:5]] == [
        ("RoPE", "plain", "4"),
        ("RoPE", "plain", "16"),
        ("RoPE", "CFG 2", "4"),
        ("RoPE", "CFG 2", "16"),
    ]
    assert len(quality.rows) == len(cost.rows) + 1 == 9
    distances = _column(quality, "gFD (EfficientNet-Lite0) ↓", "32×32")
    assert distances[0] == "7.25"
    assert distances[1].startswith("105.5 ±")
    assert distances[4].startswith("96.75 ±")
    assert _column(cost, "GFLOPs (full) ↓", "48×48")[0] == "0.400"
    assert [row[1] for row in once.rows] == ["2.00", "2.00"]


def test_metrics_of_tokenizers_have_no_column(results):
    headings = [column.group for table in generation_measurements(results) for column in table.columns]
    assert not any("PSNR" in heading or "real" in heading for heading in headings)


def test_notes_say_what_stands_there(results):
    quality, cost, *_ = generation_measurements(results)
    notes = " ".join(quality.notes)
    for words in ("2 seeds", "n = 100 samples", "Validation images", "0.5 as unseen images", "2,048"):
        assert words in notes
    assert "all steps of sampling" in " ".join(cost.notes)


def test_what_is_missing_is_said(results):
    first = results.rows[0].runs[0]
    values = tuple(v for v in results.data.values if not (v.run_id == first and v.metric == "gfd_effnet"))
    one = Results(results.data.model_copy(update={"values": values}))
    assert "(1/2)" in _column(generation_measurements(one)[0], "gFD (EfficientNet-Lite0) ↓", "32×32")[1]
    values = tuple(v for v in values if v.metric != "gfd_effnet")
    none = Results(results.data.model_copy(update={"values": values}))
    headings = [column.group for table in generation_measurements(none) for column in table.columns]
    assert "gFD (EfficientNet-Lite0) ↓" not in headings
    values = tuple(v for v in results.data.values if v.sampling is None or v.sampling.cfg_scale == 1)
    plain = Results(results.data.model_copy(update={"values": values}))
    assert _column(generation_measurements(plain)[0], "Class accuracy ↑", "32×32")[3] == MISSING


@pytest.fixture
def of_one_size(generation_report):
    """The second arm's tokens stand on a grid, so it was never to be measured at the second size."""
    data = load(generation_report)
    runs = dict(data.plan.runs)
    own = {cell.run_id for cell in data.plan.cells if cell.arm == data.plan.cells[-1].arm}
    for run_id in own:
        config = runs[run_id].config
        model = Component(name="llamagen", grid_size=(4, 4))
        generator = config.generator.model_copy(update={"model": model})
        runs[run_id] = runs[run_id].model_copy(update={"config": config.model_copy(update={"generator": generator})})
    plan = data.plan.model_copy(update={"runs": runs})
    values = tuple(v for v in data.values if v.run_id not in own or v.resolution != "48x48")
    return Results(data.model_copy(update={"plan": plan, "values": values}))


def test_what_was_not_to_be_measured_is_not_missing(of_one_size):
    first, second = of_one_size.rows
    large = next(point for point in of_one_size.points if point.resolution == "48x48")
    assert of_one_size.is_asked(first, large)
    assert not of_one_size.is_asked(second, large)
    assert of_one_size.is_asked(second, RUN)
    tables = generation_measurements(of_one_size)
    cells = [cell for table in tables for row in table.rows for cell in row]
    assert "–" in _column(tables[0], "gFD (EfficientNet-Lite0) ↓", "48×48")[5:]
    found = differences(of_one_size)
    cells += [cell for row in found.rows for cell in row]
    assert MISSING not in cells
    assert [cell == "–" for cell in found.rows[0][1:]] == ["48×48" in column.name for column in found.columns[1:]]
    assert not any("Missing" in text for _, text in findings(of_one_size).points)


def test_what_was_lost_is_missing(of_one_size):
    data = of_one_size.data
    kept = tuple(value for value in data.values if value.run_id != data.plan.cells[-1].run_id or not value.resolution)
    fewer = Results(data.model_copy(update={"values": kept}))
    cells = [cell for table in generation_measurements(fewer) for row in table.rows for cell in row]
    assert any(cell.endswith("(1/2)") for cell in cells)
