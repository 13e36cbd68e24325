import pytest
import torch

from vtbench.errors import CostError
from vtbench.runner import measure
from vtbench.runner.measure import free_bytes, measure_models
from vtbench.schema.baseline import ModelCard
from vtbench.schema.cost import Workload

CPU = torch.device("cpu")
WIDTH = {"width": 32, "num_layers": 1, "num_heads": 2}
TOKENIZER = ModelCard(
    kind="tokenizer",
    title="t",
    config={"name": "vibetoken", "encoder": "tiny", "decoder": "tiny", "codebook_size": 16},
    source="s",
)
GENERATOR = ModelCard(
    kind="generator",
    title="g",
    config={"name": "vibetoken_gen", "size": WIDTH, "num_codebooks": 2, "codebook_size": 8, "num_classes": 3},
    source="s",
)


def test_tokenizers_and_generators_each_at_their_work():
    cards = {"image": TOKENIZER, "short": GENERATOR, "long": GENERATOR}
    works = {
        "image": Workload(resolution="32x32", num_tokens=4, batch_size=2),
        "short": Workload(resolution="32x32", num_tokens=2, batch_size=2),
        "long": Workload(resolution="32x64", num_tokens=8, batch_size=2),
    }
    found = measure_models(cards, works, rounds=3)
    assert [(s.model, s.work, s.unit) for s in found.speeds] == [
        ("image", "encode", "images/s"),
        ("image", "decode", "images/s"),
        ("short", "generate", "tokens/s"),
        ("long", "generate", "tokens/s"),
        ("short", "generate", "images/s"),
        ("long", "generate", "images/s"),
    ]
    for speed in found.speeds:
        assert 0 < speed.spread[0] <= speed.per_second <= speed.spread[1]
    short, long, short_images, long_images = found.speeds[2:]
    assert short.ratio is short.ratio_interval is None
    assert short.per_second == pytest.approx(2 * short_images.per_second)
    assert long.per_second == pytest.approx(8 * long_images.per_second)
    assert long.ratio == pytest.approx(4 * long_images.ratio)
    assert long_images.ratio < 1
    low, high = long_images.ratio_interval
    assert low <= long_images.ratio <= high
    assert (found.rounds, found.warmup, found.batch_size) == (3, measure.WARMUP, 2)
    assert set(found.peak_bytes) == set(cards)
    assert "batches of 2, median of 3 rounds after 1" in found.how


def test_weights_that_do_not_fit_are_refused():
    work = Workload(resolution="32x32", num_tokens=2)
    huge = {"size": {**WIDTH, "width": 1024}, "codebook_size": 2**32}
    with pytest.raises(CostError, match=r"do not fit into the .* GB of free memory on cpu: small \d+"):
        measure_models({"small": GENERATOR}, {"small": work}, huge)


def test_free_memory_is_what_the_system_and_the_container_leave(tmp_path, monkeypatch):
    meminfo = tmp_path / "meminfo"
    meminfo.write_text("MemTotal:  100 kB\nMemAvailable:   50 kB\n")
    monkeypatch.setattr(measure, "_MEMINFO", meminfo)
    monkeypatch.setattr(measure, "_CGROUP", tmp_path)
    assert free_bytes(CPU) == 50 * 1024
    (tmp_path / "memory.max").write_text("max\n")
    (tmp_path / "memory.current").write_text("4000\n")
    assert free_bytes(CPU) == 50 * 1024
    (tmp_path / "memory.max").write_text("10000\n")
    assert free_bytes(CPU) == 6000
    (tmp_path / "memory.stat").write_text("active_file 5\ninactive_file 1000\n")
    assert free_bytes(CPU) == 7000
    meminfo.unlink()
    (tmp_path / "memory.max").unlink()
    assert free_bytes(CPU) is None
