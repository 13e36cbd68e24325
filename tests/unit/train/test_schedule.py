import math

import pytest

from vtbench.schema.run import ScheduleConfig
from vtbench.train.schedule import factor


def test_golden_values():
    config = ScheduleConfig(warmup_steps=4, final_factor=0.1)
    found = [factor(config, step, 13) for step in range(13)]
    cosine = [0.1 + 0.45 * (1 + math.cos(math.pi * k / 8)) for k in range(9)]
    assert found == pytest.approx([0.25, 0.5, 0.75, 1.0, *cosine])
    assert found[6] == pytest.approx(0.8681980515339464)
    assert found[8] == pytest.approx(0.55)
    assert found[12] == pytest.approx(0.1)


def test_without_warm_up_it_begins_at_the_peak_and_ends_at_the_last_step():
    config = ScheduleConfig(warmup_steps=0, final_factor=0.0)
    assert factor(config, 0, 100) == 1.0
    assert factor(config, 99, 100) == pytest.approx(0.0)
    assert factor(config, 98, 100) > 0


def test_it_never_rises_after_the_warm_up_and_stays_at_the_end():
    config = ScheduleConfig(warmup_steps=10, final_factor=0.2)
    found = [factor(config, step, 50) for step in range(10, 60)]
    assert found == sorted(found, reverse=True)
    assert found[-1] == pytest.approx(0.2)


@pytest.mark.parametrize(("warmup", "steps"), [(0, 1), (5, 5), (5, 6), (9, 3)])
def test_runs_that_are_hardly_longer_than_their_warm_up(warmup, steps):
    config = ScheduleConfig(warmup_steps=warmup, final_factor=0.1)
    assert all(0 < factor(config, step, steps) <= 1 for step in range(steps))
