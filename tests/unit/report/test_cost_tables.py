import pytest

from vtbench.report import cost_tables
from vtbench.report.cost_data import Costs


def test_figures_stand_side_by_side_under_their_conventions(costs):
    table = cost_tables.figures(costs, "total")
    assert table.title == "One use of the model: encode, quantise and decode one image"
    assert table.groups == [("", 1), ("GFLOPs (hook_no_mha)", 3), ("GFLOPs (full)", 3)]
    assert table.rows[1] == ("RoPE & co", "60.00", "240.0", "960.0", "80.00", "320.0", "1,280")
    assert cost_tables.figures(costs, "decode").rows[1][-1] == "320.0"


def test_ratios_are_to_the_reference_arm_at_the_same_size(costs):
    table = cost_tables.ratios(costs, "total")
    assert table.title == "As multiples of Dynamic grid"
    assert table.rows[1][1:] == ("1.50×", "1.50×", "1.50×", "1.00×", "1.00×", "1.00×")
    assert table.rows[2][1:] == ("1.00×", "0.250×", "0.0625×") * 2


def test_published_figures_stand_beside_both(costs):
    table = cost_tables.published(costs)
    assert table.rows[1] == ("RoPE & co", "1024×1024", "960", "GFLOPs (hook_no_mha)", "960.0", "+0.00 %", "1,280")
    assert table.rows[2][2:6] == ("41", "GFLOPs (hook_no_mha)", "40.00", "−2.44 %")
    assert table.notes == ("Published: a test.",)


def test_published_ratios_hold_or_not(costs):
    rope, flat = cost_tables.published_ratios(costs)
    assert (rope.published, rope.recounted, rope.full, rope.holds) == (1.5, 1.5, 1.0, False)
    assert flat.published == pytest.approx(41 / 640)
    assert flat.holds
    assert [row[-1] for row in cost_tables.ratio_table(costs).rows] == ["no", "yes"]


def test_without_published_figures_there_are_no_such_tables(costs, cost_plan):
    bare = Costs(costs.data.model_copy(update={"study": cost_plan(published=()).study}))
    assert cost_tables.published(bare) is None
    assert cost_tables.ratio_table(bare) is None


def test_arms_and_conventions(costs):
    table = cost_tables.arms(costs)
    assert [column.full_name for column in table.columns] == ["Arm", "Model", "Parameters (M)", "Tokens"]
    assert table.rows[0] == ("Dynamic grid", 'vibetoken, pos_embed: "grid"', "12.35", "64")
    assert [row[0] for row in cost_tables.conventions(costs).rows] == ["hook_no_mha", "full"]


def test_what_is_not_counted_is_shown_as_missing(uncounted):
    assert set(cost_tables.figures(uncounted, "total").rows[1][1:]) == {"missing"}
    assert set(cost_tables.ratios(uncounted, "total").rows[1][1:]) == {"missing"}
    assert cost_tables.published(uncounted).rows[1][4:] == ("missing", "missing", "missing")
    assert cost_tables.ratio_table(uncounted).rows[0][-1] == "missing"
    assert cost_tables.arms(uncounted).rows[1][2] == "missing"


@pytest.mark.parametrize(("ratio", "text"), [(17.381, "17.4×"), (0.3011, "0.301×"), (1234.5, "1,234×")])
def test_ratios_in_sentences(ratio, text):
    assert cost_tables.times(ratio) == text
