from collections import Counter

import pytest

from vtbench.cost.sampling import sum_steps


def _walk(step, first, last):
    return sum((step(place) for place in range(first, last + 1)), Counter())


def _affine(place):
    return Counter(linear=7, attention=3 * (place + 1))


def _window(place):
    """Attention that sees 10 places at most, and a product that begins late."""
    return Counter(linear=7, attention=3 * min(place + 1, 10), late=5 * (place > 33))


@pytest.mark.parametrize("last", [0, 1, 2, 3, 4, 17, 64])
@pytest.mark.parametrize("step", [_affine, _window])
def test_the_sum_is_that_of_all_steps(step, last):
    assert sum_steps(step, 1, last) == _walk(step, 1, last)


def test_steps_that_grow_alike_are_counted_at_three_places():
    places = []

    def step(place):
        places.append(place)
        return _affine(place)

    sum_steps(step, 1, 4095)
    assert sorted(places) == [1, 2048, 4095]
