import pytest

from vtbench.cli.cost_figures import Figures, as_object, show_comparison, show_model, show_speeds, speeds_object
from vtbench.runner.measure import Measured, Speed
from vtbench.schema.convention import convention
from vtbench.schema.cost import ComponentCost, ModelCost, ProductCount, Workload


def component(name, linear, attention, *, in_total=True, coverage=1.0, note=""):
    products = (
        ProductCount(module="trunk.layer", kind="linear", macs=linear, hooked=True),
        ProductCount(module="trunk.attention", kind="attention", macs=attention, hooked=False),
    )
    return ComponentCost(
        name=name,
        products=products,
        in_total=in_total,
        coverage=coverage,
        weight_bytes=4_000,
        cache_bytes=500,
        note=note,
    )


@pytest.fixture
def figures():
    """Return figures of a model of two parts and a question beside them, under a convention."""

    def figures(name="linear_only", scale=1, model="small"):
        cost = ModelCost(
            model=model,
            kind="generator",
            workload=Workload(resolution="256x256", num_tokens=64, batch_size=2),
            num_parameters=1_234_567,
            components=(
                component("one", scale * 10**9, 5 * 10**8),
                component("two", scale * 2 * 10**9, 10**9, coverage=0.995),
                component("training", 9 * 10**9, 10**9, in_total=False, coverage=None, note="without losses"),
            ),
            weight_bytes=2_469_134,
            kv_cache_bytes=98_304,
            activation_bytes={"inference": 2_000_000, "training": 30_000_000},
            tool="two counters",
        )
        seconds = {"one": 0.001, "two": 0.25, "training": 3.0}
        return Figures(
            title="A model",
            cost=cost,
            convention=convention(name),
            device="h100",
            device_limits="989 TFLOP/s; a data sheet",
            seconds=seconds,
        )

    return figures


def test_an_object_says_what_each_figure_counts(figures):
    found = as_object(figures())
    assert found["convention"] == "linear_only"
    assert found["gflops"] == 6.0
    assert found["full_gflops"] == 9.0
    assert found["components"] == {"one": 2.0, "two": 4.0, "training": 18.0}
    assert found["in_total"] == ["one", "two"]
    assert found["conventions"] == {"full": 9.0, "macs": 4.5, "linear_only": 6.0, "hook_no_mha": 6.0, "trunk_only": 6.0}
    assert found["coverage"] == 0.995
    assert found["roofline_seconds"] == 0.251
    assert found["params"] == 1_234_567
    assert (found["resolution"], found["num_tokens"], found["patch"], found["batch_size"]) == ("256x256", 64, None, 2)
    assert (found["weight_bytes"], found["kv_cache_bytes"], found["device"]) == (2_469_134, 98_304, "h100")
    assert found["notes"] == {"training": "without losses"}


def test_the_honest_figure_stands_beside_the_one_asked_for(figures, capsys):
    show_model(figures())
    lines = capsys.readouterr().out.splitlines()
    assert "small: A model; 256x256, 64 tokens, 2 images" in lines[0]
    head = next(line for line in lines if "component" in line)
    assert "GFLOPs (linear_only)" in head
    assert "GFLOPs (full)" in head
    total = next(line for line in lines if line.strip().startswith("total (one + two)"))
    assert total.split()[-5:] == ["6.00", "9.00", "9kB", "251", "ms"]
    training = next(line for line in lines if line.strip().startswith("training "))
    assert training.split() == ["training", "18.0", "20.0", "4.5kB", "3", "s"]
    text = "\n".join(lines)
    assert "parameters 1,234,567; weights 2.47MB; KV cache 98.3kB; activations in inference 2MB" in text
    assert "full: 2 x multiply-accumulate of every matrix product, attention included" in text
    assert "counted by two counters; this count over torch's own: 0.9950" in text
    assert "at least, on h100: the slower of arithmetic (full) and reading, at 989 TFLOP/s; a data sheet" in text
    assert "training: without losses" in text


def test_the_default_convention_is_shown_once(figures, capsys):
    show_model(figures("full"))
    assert capsys.readouterr().out.count("GFLOPs (full)") == 1


def test_macs_are_not_called_flops(figures, capsys):
    show_model(figures("macs"))
    assert "GMACs (macs)" in capsys.readouterr().out


def test_models_beside_each_other_have_ratios_under_each_convention(figures, capsys):
    show_comparison([figures(), figures(scale=3, model="large")])
    row = next(line.split() for line in capsys.readouterr().out.splitlines() if line.strip().startswith("large"))
    assert row == ["large", "256x256", "64", "1.23M", "18.0", "3x", "21.0", "2.33x"]


def test_measured_speeds(capsys):
    first = Speed(model="a", work="generate", unit="tokens/s", per_second=100.0, spread=(90.0, 110.0))
    second = Speed(
        model="b",
        work="generate",
        unit="tokens/s",
        per_second=50.0,
        spread=(40.0, 60.0),
        ratio=0.5,
        ratio_interval=(0.4, 0.6),
    )
    measured = Measured(
        hardware="a machine",
        device="cpu, 1 threads",
        warmup=1,
        rounds=5,
        batch_size=2,
        speeds=(first, second),
        peak_bytes={"a": 2_000_000, "b": None},
    )
    show_speeds(measured)
    text = capsys.readouterr().out
    assert "generate, tokens/s" in text
    row = next(line.split() for line in text.splitlines() if line.strip().startswith("b "))
    assert row == ["b", "50", "40", "60", "0.5x", "0.4x", "0.6x"]
    assert "a: peak memory 2MB" in text
    assert "b: peak memory unknown" in text
    assert "measured on cpu, 1 threads (a machine): random weights in float32, batches of 2, median of 5 rounds" in text
    found = speeds_object(measured, "b")
    assert found["generate"]["tokens/s"]["ratio"] == 0.5
    assert found["peak_memory_bytes"] is None
