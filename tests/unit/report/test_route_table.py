"""Ways to one size, made of the full report's values: the same store read as if a route had led to its largest size."""

import pytest

from vtbench.report.gather import load
from vtbench.report.results import Point, Results
from vtbench.report.route_table import route_table, way_differences
from vtbench.schema.study import Route

NATIVE = Route(input="24x24", decode="96x96")
ENLARGED = Route(input="24x24", decode="24x24", output="96x96")


@pytest.fixture(scope="module")
def results(full_report):
    """Results with two routes to 96x96: the native one as good as 48x48 is, the other 1.5 times as far as 96x96."""
    data = load(full_report)
    values = []
    for value in data.values:
        values.append(value)
        if value.resolution == "48x48":
            values.append(value.model_copy(update={"resolution": "96x96", "route": NATIVE.name}))
        if value.resolution == "96x96":
            changed = {"route": ENLARGED.name, "value": 1.5 * value.value}
            changed["without_blocks"] = tuple(1.5 * each for each in value.without_blocks)
            values.append(value.model_copy(update=changed))
    evaluate = data.plan.evaluate.model_copy(update={"routes": (NATIVE, ENLARGED)})
    plan = data.plan.model_copy(update={"evaluate": evaluate})
    return Results(data.model_copy(update={"values": tuple(values), "plan": plan}))


def test_without_routes_there_is_no_table(full_report):
    assert route_table(Results(load(full_report))) is None


def test_points_and_their_labels(results):
    native, enlarged = Point("96x96", None, "from_24x24"), Point("96x96", None, "from_24x24_bicubic")
    assert results.points[3:] == [native, enlarged]
    assert [point.label for point in results.points[2:]] == [
        "96×96",
        "96×96 from 24×24",
        "96×96 from 24×24 bicubic",
    ]
    assert not results.is_trained(native)


def test_the_first_route_is_compared_with_each_other_way_to_its_size(results):
    found = list(way_differences(results, "rfd_effnet"))
    assert len(found) == 2 * len(results.rows)
    first = found[1]
    row, size = results.rows[0], "96x96"
    ours = results.by_seed(row, "rfd_effnet", Point("48x48", None))
    theirs = results.by_seed(row, "rfd_effnet", Point(size, None))
    assert (first.way.route, first.other.route) == ("from_24x24", "from_24x24_bicubic")
    assert first.estimate.value == pytest.approx(sum(ours[seed] - 1.5 * theirs[seed] for seed in ours) / len(ours))
    assert first.num_seeds == 3
    assert len(first.estimate.errors) == 2  # over seeds, and over images


def test_rows_say_what_is_shown(results):
    table = route_table(results)
    assert [column.name for column in table.columns][-1] == "Verdict"
    assert len(table.rows) == 2 * 2 * len(results.rows)
    assert table.rows[0][2:4] == ("96×96 from 24×24", "96×96 itself")
    assert {row[-1] for row in table.rows} <= {"better", "worse", "no difference shown"}
    assert "better" in {row[-1] for row in table.rows}
