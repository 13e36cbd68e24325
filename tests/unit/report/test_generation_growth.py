"""The table of growth compares an arm's sizes, or arms of one kind that make one size each."""

import pytest

from vtbench.report.gather import load
from vtbench.report.generation_growth import growth_table
from vtbench.report.results import Results


@pytest.fixture(scope="module")
def results(generation_report):
    return Results(load(generation_report))


def _with(results, keep=lambda value: True, scale=lambda value: 1.0):
    """Return the results of some values only, each times a factor."""
    values = [value for value in results.data.values if keep(value)]
    scaled = tuple(value.model_copy(update={"value": value.value * scale(value)}) for value in values)
    return Results(results.data.model_copy(update={"values": scaled}))


def _of_arm(results, index):
    return set(results.rows[index].runs.values())


def test_an_arm_that_makes_several_sizes_is_compared_with_itself(results):
    second_seed = {row.runs[1] for row in results.rows}

    def slower(value):
        if value.metric != "seconds_per_image_sampling" or value.resolution != "48x48":
            return 1.0
        return 18.0 if value.run_id in second_seed else 16.0

    table = growth_table(_with(results, scale=slower))
    assert [column.name for column in table.columns][:4] == ["Arm", "From", "To", "Pixels"]
    assert [row[0] for row in table.rows] == [row.label for row in results.rows]
    assert table.rows[0][1:4] == ("32×32", "48×48", "2.25×")
    assert table.rows[0][4:] == (
        "17.00× (16.00 to 18.00)",
        "1.00× (1.00 to 1.00)",
        "1.00× (1.00 to 1.00)",
        "1.00× (1.00 to 1.00)",
    )


def test_arms_of_one_kind_with_a_size_each_are_compared_with_each_other(results):
    small, large = _of_arm(results, 0), _of_arm(results, 1)

    def keep(value):
        sizes = {"32x32": small, "48x48": large}
        return value.resolution is None or value.run_id in sizes[value.resolution]

    def dearer(value):
        return 20.0 if value.metric == "gflops" and value.run_id in large else 1.0

    (row,) = growth_table(_with(results, keep, dearer)).rows
    assert row[0] == f"{results.rows[0].label} to {results.rows[1].label}"
    assert row[-1] == "20.00× (20.00 to 20.00)"


def test_nothing_grows_where_there_is_one_size(results):
    assert growth_table(_with(results, lambda value: value.resolution in (None, "32x32"))) is None
    assert growth_table(_with(results, lambda value: not value.metric.startswith("seconds"))) is None
