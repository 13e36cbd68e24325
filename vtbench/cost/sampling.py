"""Sampling with a growing cache: every step's products, added up without counting every step.

Attention makes a step at place p dearer by the same amount each time, so the sum over a stretch of places follows from
its ends. That is checked, product by product, at the middle of the stretch; where it does not hold (an attention window
that fills up, say) the stretch is halved until it does, at worst down to single steps.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable
from typing import TypeVar

_Key = TypeVar("_Key", bound=Hashable)


def sum_steps(step: Callable[[int], Counter[_Key]], first: int, last: int) -> Counter[_Key]:
    """Return the amounts of the steps at places `first` to `last`, both included, added up.

    Args:
        step: counts the step at a place; called at few places, and once at each.
        first: place of the first step.
        last: place of the last; below `first` there are no steps.
    """
    known: dict[int, Counter[_Key]] = {}

    def at(place: int) -> Counter[_Key]:
        if place not in known:
            known[place] = step(place)
        return known[place]

    def total(start: int, end: int) -> Counter[_Key]:
        num, middle = end - start + 1, (start + end) // 2
        if num <= 0:
            return Counter()
        low, high = at(start), at(end)
        if num <= 2:
            return low + high if num == 2 else Counter(low)
        between = at(middle)
        names = low.keys() | between.keys() | high.keys()
        if all((end - start) * (between[n] - low[n]) == (middle - start) * (high[n] - low[n]) for n in names):
            return Counter({name: num * (low[name] + high[name]) // 2 for name in low | high})
        return total(start, middle) + total(middle + 1, end)

    return total(first, last)
