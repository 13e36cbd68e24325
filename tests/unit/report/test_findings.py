import re

import pytest

from vtbench.report.findings import FIRST_LISTED, findings
from vtbench.report.gather import gather, load
from vtbench.report.results import Results


@pytest.fixture(scope="module")
def found(full_report):
    return findings(Results(load(full_report)))


def test_arms_stand_in_the_order_of_the_main_distance(found):
    place, text = found.points[2]
    assert place == "96×96 (not trained at)"
    order = text.partition(" Different ")[0]
    names = ["Dynamic grid + adaptive patch", "Learnable RoPE", "Dynamic grid 1", "RoPE 2"]
    assert [order.index(name) for name in names] == sorted(order.index(name) for name in names)
    assert found.points[0][0] == "32×32 (a training size)"


def test_a_size_that_only_some_arms_are_trained_at_says_so(full_report):
    data = load(full_report)
    first = data.plan.cells[0].run_id
    mixing = data.plan.runs[first].config.mixing.model_copy(update={"inputs": {"96x96": 1.0}})
    config = data.plan.runs[first].config.model_copy(update={"mixing": mixing})
    runs = data.plan.runs | {first: data.plan.runs[first].model_copy(update={"config": config})}
    changed = data.model_copy(update={"plan": data.plan.model_copy(update={"runs": runs})})
    places = [place for place, _ in findings(Results(changed)).points]
    assert places[2] == "96×96 (a training size of RoPE alone)"
    assert places[0].startswith("32×32 (a training size of ")
    assert "RoPE," not in places[0].replace("Learnable RoPE,", "")


def test_only_what_a_test_shows_is_claimed(found):
    assert "Different from RoPE: " in found.points[2][1]
    assert re.search(r"Dynamic grid \+ adaptive patch −1\S+ \[.*?\], p [=<] 0\.\d+, better", found.points[2][1])
    assert "*" not in found.points[2][1]
    assert "No difference to RoPE shown for" in found.points[0][1]


def test_remarks_warn_and_give_the_least_gain(found):
    text = " ".join(found.remarks)
    assert "n = 384 < 2,048" in text
    assert "The least gain in PSNR over the mean image is " in text
    assert "(RoPE, 96×96)" in text
    assert "Not done" not in text


def test_one_seed_claims_nothing(synthetic, tmp_path):
    store, plan = synthetic.study(tmp_path / "runs", seeds=(0,), leave_out=("grid-0",))
    found = findings(Results(gather(store, plan.id, tmp_path / "out")))
    text = " ".join([found.introduction, *(text for _, text in found.points), *found.remarks])
    assert "One seed: no statement about differences between the arms." in text
    assert "Different from" not in text
    assert "shown for" not in text
    assert "Missing: Dynamic grid." in text
    assert "Not done: Dynamic grid, seed 0 (missing)." in text


def test_a_study_without_any_result_is_still_described(synthetic, tmp_path):
    store, plan = synthetic.study(tmp_path / "runs", seeds=(0,), leave_out=tuple(synthetic.plan(seeds=(0,)).runs))
    found = findings(Results(gather(store, plan.id, tmp_path / "out")))
    assert all(text.startswith("No value. Missing: RoPE") for _, text in found.points)


def test_of_many_arms_the_first_are_named(many_rows):
    found = findings(Results(many_rows))
    place, text = found.points[0]
    assert place.startswith("32×32")
    assert text.count("steps=") == FIRST_LISTED
    assert text.endswith("and 70 more.")
    text = " ".join(found.remarks)
    assert "Not done: RoPE, steps=0, seed 0 (failed); Learnable RoPE, steps=0, seed 0 (failed);" in text
