from pathlib import Path

import pytest

from vtbench.errors import CostError, StoreError
from vtbench.runner import cost_study
from vtbench.runner.cost_study import cost_key, count_plan, counting_version, load_cost, stored_costs
from vtbench.schema.baseline import ModelCard, TokenGrid
from vtbench.schema.convention import convention
from vtbench.schema.cost import Workload
from vtbench.store.layout import Store
from vtbench.study.cost_study import COMPONENTS, expand_cost, load_cost_study

STUDY = Path(__file__).parents[2] / "fakes" / "small_cost_study.yaml"


@pytest.fixture(scope="module")
def plan(tmp_path_factory):
    cards = tmp_path_factory.mktemp("cards")
    return expand_cost(load_cost_study(STUDY, cards), cards)


@pytest.fixture(scope="module")
def counted(plan, tmp_path_factory):
    """Store and costs of the whole plan, and which cells were counted."""
    store, seen = Store(tmp_path_factory.mktemp("store")), []
    costs = count_plan(store, plan, on_cell=lambda cell, cost, new: seen.append((cell.arm, new)))
    return store, costs, seen


def test_each_cell_is_counted_once_and_kept(plan, counted):
    store, costs, seen = counted
    assert seen == [("fixed", True), ("fixed", True), ("adaptive", True), ("adaptive", True)]
    assert [cost.workload.resolution for cost in costs] == ["32x32", "64x64", "32x32", "64x64"]
    again = []
    assert count_plan(store, plan, on_cell=lambda cell, cost, new: again.append(new)) == costs
    assert again == [False] * 4
    assert stored_costs(store, plan) == costs
    assert len(list((store.root / "costs").glob("*.json"))) == 4


def test_equal_cells_are_counted_once(plan, tmp_path):
    twice = plan.model_copy(update={"cells": (plan.cells[0], plan.cells[0])})
    seen = []
    count_plan(Store(tmp_path), twice, fresh=True, on_cell=lambda cell, cost, new: seen.append(new))
    assert seen == [True, False]


def test_attention_makes_full_dearer_than_hooks(counted):
    _, costs, _ = counted
    for cost in costs:
        assert convention("full").figure(cost) > convention("hook_no_mha").figure(cost) > 0


def test_what_a_study_can_show_is_what_is_counted(plan, counted, tmp_path):
    _, costs, _ = counted
    assert {"total", *(part.name for part in costs[0].components)} == set(COMPONENTS["tokenizer"])
    size = {"width": 32, "num_layers": 1, "num_heads": 2}
    config = {"name": "llamagen", "size": size, "codebook_size": 32, "ffn_multiple": 16}
    card = ModelCard(
        kind="generator",
        title="g",
        config=config,
        grid=TokenGrid(pixels=16, option="grid_size"),
        resolution="64x64",
        num_tokens=16,
        source="a test",
    )
    cell = plan.cells[0].model_copy(update={"workload": Workload(resolution="32x64", num_tokens=8)})
    small = plan.model_copy(update={"cards": {"fixed": card}, "cells": (cell,)})
    (cost,) = count_plan(Store(tmp_path), small)
    assert {"total", *(part.name for part in cost.components)} == set(COMPONENTS["generator"])
    assert cost.workload.num_tokens == 8
    modules = {product.module.partition(".")[0] for product in cost.component("forward").products}
    assert modules == {"trunk", "head"}


def test_the_key_is_of_all_that_decides_a_count(plan, monkeypatch):
    card, work = plan.cards["fixed"], plan.cells[0].workload
    key = cost_key(card, work)
    assert key == cost_key(card, work)
    others = [
        cost_key(card.model_copy(update={"config": {**card.config, "patch_size": 16}}), work),
        cost_key(card, work.model_copy(update={"num_tokens": 4})),
        cost_key(card, work.model_copy(update={"resolution": "64x64"})),
    ]
    monkeypatch.setattr(cost_study, "counting_version", lambda: f"{counting_version()} changed")
    others.append(cost_key(card, work))
    assert len({key, *others}) == 5
    assert cost_key(card.model_copy(update={"title": "other"}), work) == others[-1]


def test_the_counting_code_is_part_of_its_version(monkeypatch):
    now = counting_version()
    monkeypatch.setattr(cost_study, "_COUNTING_CODE", ("cost",))
    assert counting_version.__wrapped__() != now


def test_what_is_not_counted_is_none_and_what_is_broken_is_an_error(plan, tmp_path):
    store = Store(tmp_path)
    assert stored_costs(store, plan) == (None,) * 4
    key = cost_key(plan.cards["fixed"], plan.cells[0].workload)
    store.cost_path(key).parent.mkdir()
    store.cost_path(key).write_text("{}")
    with pytest.raises(StoreError, match=r"not a count of this version\. Delete"):
        load_cost(store, key)


def test_a_size_that_does_not_fit_names_the_arm(plan, tmp_path):
    work = plan.cells[0].workload.model_copy(update={"resolution": "36x36"})
    wrong = plan.model_copy(update={"cells": (plan.cells[0].model_copy(update={"workload": work}),)})
    with pytest.raises(CostError, match=r"arm 'fixed' at 36x36: .*36x36"):
        count_plan(Store(tmp_path), wrong)
