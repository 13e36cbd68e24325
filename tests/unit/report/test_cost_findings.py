from vtbench.report.cost_data import Costs
from vtbench.report.cost_findings import findings, run_command


def test_sentences_follow_from_the_counts(costs):
    assert findings(costs) == [
        (
            "2 of 3 published figures are reproduced within 1 % by the convention that they were counted with; the"
            " largest difference is 2.4 % (Flat at 1024×1024)."
        ),
        (
            "By the published figures (hook_no_mha), at 1024×1024 RoPE & co costs 1.5× as much as Dynamic grid, which"
            " is thus 33 % cheaper; counted in full they cost the same (1.000×): the difference is the counter's."
        ),
        (
            "By the published figures (hook_no_mha), at 1024×1024 Flat costs 15.6× less than Dynamic grid;"
            " counted in full it is 16×: the ratio holds."
        ),
        (
            "From 256×256 to 1024×1024 the pixels grow 16×. In full the cost of Flat stays the same throughout (within"
            " 2 %); that of Dynamic grid and RoPE & co grows 16×."
        ),
        "hook_no_mha sees between 50 % (Dynamic grid at 256×256) and 75 % (RoPE & co at 256×256) of what full counts.",
        "Decode costs 25 % of one use of the model, in full.",
    ]


def test_a_cost_that_is_constant_at_first_says_so(costs):
    def late(cell):
        if cell.arm != "flat" or cell.resolution != "1024x1024":
            return cell
        figures = {name: {rule: 40 * value for rule, value in by.items()} for name, by in cell.figures.items()}
        return cell.model_copy(update={"figures": figures})

    changed = Costs(costs.data.model_copy(update={"cells": tuple(map(late, costs.data.cells))}))
    text = " ".join(findings(changed))
    assert "the cost of Flat stays the same up to 512×512 (within 2 %), then grows 40×;" in text
    assert "counted in full it costs 2.5× as much as Dynamic grid" in text
    assert "the order turns round" in text


def test_an_arm_that_changes_places_is_named(costs, cost_plan):
    def dear(cell):
        figures = {name: {rule: 4 * value for rule, value in by.items()} for name, by in cell.figures.items()}
        return cell.model_copy(update={"figures": figures}) if cell.arm == "flat" else cell

    changed = Costs(costs.data.model_copy(update={"cells": tuple(map(dear, costs.data.cells))}))
    assert "In full Flat costs 4× Dynamic grid at 256×256 and 0.25× at 1024×1024." in findings(changed)


def test_unfinished_counting_says_only_that(uncounted):
    assert findings(uncounted) == [
        "6 of 9 cells have not been counted yet: run `python -m vtbench run studies/small_cost.yaml`."
    ]
    assert run_command(uncounted) == "python -m vtbench run studies/small_cost.yaml"
