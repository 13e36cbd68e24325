import pytest
from pydantic import ValidationError

from vtbench.schema.cost import ComponentCost, ModelCost, ProductCount, Workload


def _component(name, **fields):
    products = (
        ProductCount(module="a", kind="linear", macs=3, hooked=True),
        ProductCount(module="a", kind="attention", macs=4, hooked=False),
    )
    return ComponentCost(name=name, products=products, in_total=True, coverage=1.0, weight_bytes=10, **fields)


def test_a_component_adds_up_its_products_and_what_must_be_moved():
    component = _component("step", cache_bytes=5)
    assert component.macs == 7
    assert component.moved_bytes == 15


def test_a_cost_is_the_same_after_a_file():
    cost = ModelCost(
        model="m",
        kind="generator",
        workload=Workload(resolution="16x16", num_tokens=4),
        num_parameters=1,
        components=(_component("forward"), _component("step")),
        weight_bytes=2,
        kv_cache_bytes=8,
        activation_bytes={"inference": 1, "training": 2},
        tool="hand",
    )
    assert ModelCost.model_validate_json(cost.model_dump_json()) == cost
    assert cost.component("step") == cost.components[1]
    assert cost.component("head") is None


def test_a_kind_of_product_that_no_convention_knows_is_refused():
    with pytest.raises(ValidationError, match="kind"):
        ProductCount(module="", kind="fourier", macs=1, hooked=False)
