import pytest

from vtbench.errors import CostError
from vtbench.schema.convention import CONVENTIONS, applicable, convention
from vtbench.schema.cost import ComponentCost, ModelCost, ProductCount, Workload


def _component(name, in_total, *rows):
    products = tuple(ProductCount(module=m, kind=k, macs=n, hooked=h) for m, k, n, h in rows)
    return ComponentCost(name=name, products=products, in_total=in_total, coverage=1.0, weight_bytes=0)


def _cost(kind="generator"):
    return ModelCost(
        model="toy",
        kind=kind,
        workload=Workload(resolution="16x16"),
        num_parameters=0,
        components=(
            _component(
                "forward",
                True,
                ("trunk.blocks.0.qkv", "linear", 1, True),
                ("trunk.blocks.0", "attention", 10, False),
                ("trunk", "conv", 100, False),
                ("head", "linear", 1000, True),
                ("trunk_2", "linear", 10_000, True),
                ("", "matmul", 100_000, False),
            ),
            _component("step", False, ("trunk.blocks.0.qkv", "linear", 7, True)),
        ),
        weight_bytes=0,
        kv_cache_bytes=None,
        activation_bytes={},
        tool="hand",
    )


def test_full_counts_two_for_each_multiply_accumulate_and_is_the_default():
    assert convention() is CONVENTIONS["full"]
    assert convention("full").apply(532_900_000_000) == 1_065_800_000_000
    assert convention("macs").apply(7) == 7


def test_a_printed_figure_carries_its_convention():
    assert convention("full").text(532_900_000_000) == "1065.8 GFLOPs (full)"
    assert convention("macs").text(532_900_000_000) == "532.9 GMACs (macs)"


@pytest.mark.parametrize(
    ("name", "figure"),
    [
        ("full", 2 * 111_111),
        ("macs", 111_111),
        ("linear_only", 2 * 11_101),
        ("hook_no_mha", 2 * 11_001),
        ("trunk_only", 2 * 101),  # neither the attention's own products nor a module whose name begins alike
    ],
)
def test_each_convention_counts_what_it_says(name, figure):
    assert convention(name).figure(_cost()) == figure


def test_a_component_outside_the_total_has_a_figure_of_its_own():
    assert convention("full").figure(_cost(), "step") == 14
    with pytest.raises(CostError, match=r"no component 'stp'. Did you mean 'step'"):
        convention("full").figure(_cost(), "stp")


def test_the_trunk_of_a_tokenizer_is_refused_with_what_applies():
    with pytest.raises(CostError, match=r"'toy', a tokenizer. Choose from: full, hook_no_mha, linear_only, macs"):
        convention("trunk_only").figure(_cost("tokenizer"))
    assert "trunk_only" not in applicable("tokenizer")
    assert set(applicable("generator")) == set(CONVENTIONS)


def test_an_unknown_convention_names_the_nearest():
    with pytest.raises(CostError, match=r"'ful'.* Did you mean 'full'"):
        convention("ful")
