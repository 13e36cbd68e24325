import numpy as np
import pytest

from vtbench.schema.run import NumTokensRange
from vtbench.seeding import rng
from vtbench.train.lengths import draw_length, draw_lengths

ODD = {"uniform": {3, 4, 5, 6, 7, 8, 9, 10}, "pow2": {4, 8}, "unifpow2": {4, 8, 10}}


@pytest.mark.parametrize(("draw", "possible"), ODD.items())
def test_each_draw_has_its_lengths_with_the_probabilities_it_states(draw, possible):
    wanted = NumTokensRange(min=3, max=10, draw=draw)
    drawn = draw_lengths(wanted, 0, 0, 20_000)
    assert set(drawn.tolist()) == set(wanted.probabilities()) == possible
    assert sum(wanted.probabilities().values()) == pytest.approx(1)
    for length, share in wanted.probabilities().items():
        assert np.mean(drawn == length) == pytest.approx(share, abs=0.015)
    assert {draw_length(wanted, 0, step) for step in range(100)} == possible


def test_lengths_are_functions_of_seed_and_step():
    wanted = NumTokensRange(min=1, max=16)
    assert np.array_equal(draw_lengths(wanted, 0, 5, 8), draw_lengths(wanted, 0, 5, 8))
    others = [draw_lengths(wanted, 0, 6, 8), draw_lengths(wanted, 1, 5, 8)]
    assert not any(np.array_equal(draw_lengths(wanted, 0, 5, 8), other) for other in others)
    # what runs that are stored have drawn
    assert draw_length(wanted, 3, 7) == int(rng(3, "num_tokens", 7).integers(1, 17))


def test_no_power_of_two_is_no_length():
    assert NumTokensRange(min=5, max=7, draw="pow2").probabilities() == {}
    assert NumTokensRange(min=5, max=4).probabilities() == {}
