"""A made-up cost study, counted: what reports of costs are tested with."""

from vtbench.schema.baseline import ModelCard
from vtbench.schema.cost import ComponentCost, ModelCost, ProductCount, Workload
from vtbench.schema.cost_study import CostArm, CostAxes, CostCell, CostPlan, CostStudy, PublishedCost
from vtbench.schema.record import Provenance

RESOLUTIONS = ("256x256", "512x512", "1024x1024")


def make_cost_plan(**changes):
    """Three tokenizers: `grid` grows with the pixels, `rope` costs the same but hides less, `flat` stays as it is."""
    published = [
        PublishedCost(arm=arm, resolution="1024x1024", convention="hook_no_mha", value=value)
        for arm, value in (("grid", 640.0), ("rope", 960.0), ("flat", 41.0))
    ]
    study = CostStudy(
        name="small_cost",
        path="studies/small_cost.yaml",
        kind="cost",
        question="What do three <tokenizers> cost?",
        source="a test",
        expected="The flat one costs the same everywhere.",
        arms=tuple(
            CostArm(name=name, title=title, model="vibetoken", set={"pos_embed": name})
            for name, title in (("grid", "Dynamic grid"), ("rope", "RoPE & co"), ("flat", "Flat"))
        ),
        axes=CostAxes(resolution=RESOLUTIONS),
        components=("total", "decode"),
        conventions=("hook_no_mha", "full"),
        reference_arm="grid",
        published=tuple(published),
    ).model_copy(update=changes)
    card = ModelCard(kind="tokenizer", title="a tokenizer", config={"name": "vibetoken"}, source="a test")
    cells = tuple(
        CostCell(arm=arm.name, length=None, workload=Workload(resolution=at, num_tokens=64))
        for arm in study.arms
        for at in study.axes.resolution
    )
    return CostPlan(study=study, cards={arm.name: card for arm in study.arms}, cells=cells)


def make_cost(arm, resolution):
    """At 256x256 every arm has 20e9 multiply-accumulates under hooks and as much again in attention."""
    pixels = int(resolution.partition("x")[0]) ** 2 // 256**2 if arm != "flat" else 1
    seen, attention = 20 * 10**9 * pixels, 20 * 10**9 * pixels
    shown = attention // 2 if arm == "rope" else 0
    components = [
        ComponentCost(
            name=name,
            products=(
                ProductCount(module="mlp", kind="linear", macs=seen // share, hooked=True),
                ProductCount(module="attention.qkv", kind="linear", macs=shown // share, hooked=True),
                ProductCount(module="attention", kind="attention", macs=(attention - shown) // share, hooked=False),
            ),
            in_total=name != "training_step",
            coverage=1.0,
            weight_bytes=2,
        )
        for name, share in (("encode", 4), ("decode", 4), ("quantize", 2), ("training_step", 1))
    ]
    return ModelCost(
        model="vibetoken",
        kind="tokenizer",
        workload=Workload(resolution=resolution, num_tokens=64),
        num_parameters=12_345_678,
        components=tuple(components),
        weight_bytes=24_691_356,
        kv_cache_bytes=None,
        activation_bytes={"inference": 1},
        tool="a counter",
    )


PROVENANCE = Provenance(
    commit="c0ffee0123",
    dirty_hash=None,
    packages={"torch": "2.15.0", "numpy": "2.4.6"},
    hardware="a CPU",
    command="python -m vtbench run studies/small_cost.yaml",
    started="2026-01-01T00:00:00+00:00",
)
