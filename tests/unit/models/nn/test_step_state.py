from torch import nn

from vtbench.models.nn.step_state import StepState, step_states


class Counter(nn.Module, StepState):
    def __init__(self):
        super().__init__()
        self.count = 0

    def end_step(self):
        self.count += 1


def test_they_are_found_wherever_they_stand():
    inner, outer = Counter(), Counter()
    outer.part = nn.Sequential(nn.Linear(1, 1), inner)
    assert step_states(outer) == [outer, inner]
    assert step_states(nn.Linear(1, 1)) == []


def test_most_need_no_preview():
    counter = Counter()
    assert not counter.wants_preview()
    counter.begin_preview()
    counter.end_preview()
    counter.end_step()
    assert counter.count == 1
