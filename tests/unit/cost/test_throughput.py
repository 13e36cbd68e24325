import time

from vtbench.cost.throughput import measure


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
