import time

import numpy as np
import pytest

from vtbench.cost import throughput
from vtbench.cost.throughput import interleave, measure


def test_median_and_spread_of_known_delays():
    delays = iter([0.6, 0.01, 0.1, 0.4])  # the first is the warm-up
    speed = measure(lambda: time.sleep(next(delays)), images_per_call=4, repeats=3, warmup=1)
    assert speed.repeats == 3
    assert 4 / 0.4 < speed.images_per_second <= 4 / 0.1
    assert 4 / 0.6 < speed.spread[0] <= 4 / 0.4
    assert 4 / 0.1 < speed.spread[1] <= 4 / 0.01
    assert next(delays, None) is None


def test_warm_up_calls_come_on_top():
    calls = []
    measure(lambda: calls.append(1), images_per_call=1, repeats=2, warmup=3)
    assert len(calls) == 5


def test_calls_take_turns_that_rotate():
    order = []
    calls = {name: lambda name=name: order.append(name) for name in "abc"}
    result = interleave(calls, rounds=3, warmup=1)
    assert "".join(order) == "abc" + "bca" + "cab" + "abc"
    assert list(result.timings) == ["a", "b", "c"]
    assert (result.rounds, result.warmup) == (3, 1)
    assert result.device.startswith("cpu, ")


def test_ratios_are_taken_within_rounds(monkeypatch):
    """A machine that gets three times slower changes every time but no ratio."""
    clock = iter(np.cumsum([0.0, *_gaps([1.0, 3.0, 3.0, 1.0, 3.0])]))
    monkeypatch.setattr(throughput.time, "perf_counter", lambda: next(clock))
    timings = interleave({"base": lambda: None, "double": lambda: None}, rounds=5, warmup=0).timings
    assert timings["base"].seconds == pytest.approx(3.0)
    assert timings["base"].spread == pytest.approx((1.0, 3.0))
    assert timings["base"].ratio == 1.0
    assert timings["double"].ratio == pytest.approx(2.0)
    assert timings["double"].ratio_interval == pytest.approx((2.0, 2.0))
    assert timings["double"].spread == pytest.approx((2.0, 6.0))


def _gaps(paces):
    """Return the clock's steps: while `base` takes a round's pace and `double` twice as long, nothing in between."""
    for number, pace in enumerate(paces):
        lengths = [pace, 2 * pace] if number % 2 == 0 else [2 * pace, pace]
        for length in lengths:
            yield length
            yield 0.0


def test_the_interval_of_a_ratio_holds_it_and_shows_the_noise():
    base, other = np.ones(15), np.linspace(1.0, 3.0, 15)
    timing = throughput._timing(other, base)
    low, high = timing.ratio_interval
    assert 1.0 < low < timing.ratio == 2.0 < high < 3.0
