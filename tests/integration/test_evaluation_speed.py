"""One pass for all metrics costs little more than the features, and far less than a call for each metric."""

import importlib.util
import time
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "evaluate.py"


@pytest.fixture(scope="module")
def benchmark():
    spec = importlib.util.spec_from_file_location("benchmark_evaluate", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.slow
def test_one_pass_against_extraction_and_torch_fidelity(benchmark, tmp_path, monkeypatch):
    # seconds of the processor, which what else runs on the machine changes less than the time on the wall
    monkeypatch.setattr(time, "perf_counter", time.process_time)
    found = benchmark.compare(256, 64, 2, tmp_path)
    alone, ours, theirs = (min(found[name]) for name in ("extraction", "one pass", "torch-fidelity"))
    # The benchmark finds at most 1.15 with 2,000 images. With so few the work that does not grow with them weighs more,
    # and what shares the processor's caches moves the ratio from 1.2 to 1.4.
    assert ours < 1.7 * alone
    assert 2 * ours < theirs


@pytest.mark.slow
def test_it_measures_more_than_torch_fidelity(benchmark):
    names = {metric.name for metric in benchmark.metrics(64)}
    assert {"rfd_effnet", "rkid_effnet", "precision_effnet", "recall_effnet", "psnr", "ssim", "mae"} <= names
    assert len(names) > len(benchmark.THEIRS)
