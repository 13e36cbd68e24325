import json

import pytest

from vtbench.errors import StoreError
from vtbench.report.cost_data import _parts, load_costs
from vtbench.report.gather import DATA_FILE
from vtbench.schema.cost import ComponentCost, ModelCost, ProductCount, Workload


def test_figures_are_the_conventions_sums(costs):
    row = costs.rows[1]
    assert row.label == "RoPE & co"
    assert row.figure("512x512", "total", "full") == 2 * 160 * 10**9
    assert row.figure("512x512", "total", "hook_no_mha") == 2 * 120 * 10**9
    assert row.giga("512x512", "decode", "full") == 80.0
    assert row.figure("512x512", "encode", "full") is None  # the study does not ask for it


def test_parts_add_up_to_the_total(costs):
    for cell in costs.data.cells:
        assert [part.name for part in cell.parts] == ["encode", "decode", "quantize"]
        assert sum(part.linear + part.other for part in cell.parts) == cell.figures["total"]["full"]


def test_rows_know_their_reference_and_their_published_convention(costs, cost_plan):
    assert {costs.reference(row).arm for row in costs.rows} == {"grid"}
    assert {costs.convention_of(row) for row in costs.rows} == {"hook_no_mha"}
    none = type(costs)(costs.data.model_copy(update={"study": cost_plan(published=()).study}))
    assert none.convention_of(none.rows[0]) is None


def test_what_is_not_counted_is_missing(uncounted):
    assert uncounted.rows[0].figure("256x256", "total", "full")
    assert uncounted.rows[2].figure("256x256", "total", "full") is None
    assert uncounted.rows[2].cells["256x256"].num_tokens == 64


def test_data_are_read_back_and_broken_ones_refused(costs, cost_report, tmp_path):
    assert load_costs(cost_report) == costs.data
    with pytest.raises(StoreError, match=r"data\.json is missing"):
        load_costs(tmp_path)
    raw = json.loads((cost_report / DATA_FILE).read_text())
    (tmp_path / DATA_FILE).write_text(json.dumps({**raw, "kind": "claims"}))
    with pytest.raises(StoreError, match="kind"):
        load_costs(tmp_path)


def test_arms_without_figures_of_their_own_take_those_of_their_kind(costs):
    published = tuple(figure for figure in costs.study.published if figure.arm != "rope")
    shown = {"grid": "hook_no_mha", "flat": "linear_only"}
    figures = tuple(figure.model_copy(update={"convention": shown[figure.arm]}) for figure in published)
    cards = {
        arm: card.model_copy(update={"config": {"name": "other" if arm == "grid" else "vibetoken"}})
        for arm, card in costs.data.cards.items()
    }
    study = costs.study.model_copy(update={"published": figures})
    changed = type(costs)(costs.data.model_copy(update={"study": study, "cards": cards}))
    assert {row.arm: changed.convention_of(row) for row in changed.rows} == {**shown, "rope": "linear_only"}


def test_a_generator_has_a_trunk_and_a_head():
    products = tuple(
        ProductCount(module=module, kind=kind, macs=macs, hooked=True)
        for module, kind, macs in (
            ("class_embed", "linear", 1),
            ("head.0", "linear", 2),
            ("trunk.0.attention", "attention", 4),
            ("trunk", "linear", 8),
        )
    )
    forward = ComponentCost(name="forward", products=products, in_total=True, coverage=1.0, weight_bytes=0)
    cost = make_generator_cost(forward)
    assert [(part.name, part.linear, part.other) for part in _parts(cost)] == [
        ("trunk", 16, 8),
        ("head", 4, 0),
        ("embeddings", 2, 0),
    ]


def make_generator_cost(*components):
    return ModelCost(
        model="g",
        kind="generator",
        workload=Workload(resolution="64x64", num_tokens=4),
        num_parameters=1,
        components=components,
        weight_bytes=2,
        kv_cache_bytes=1,
        activation_bytes={},
        tool="a counter",
    )
