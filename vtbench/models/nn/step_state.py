"""State that moves once a training step, by what the whole batch shows and not by gradients.

A step's batch may be cut into parts, one after another in a process and side by side in several. A module with such
state notes what each part shows while it runs, and moves its state at the end of the step, by the parts of all
processes together: the same whatever the cut.
"""

from __future__ import annotations

from abc import ABC, abstractmethod

from torch import nn


class StepState(ABC):
    """What a module with such state derives from, beside `nn.Module`."""

    def wants_preview(self) -> bool:
        """Return whether the next step must see its whole batch before it trains on the first part of it."""
        return False

    def begin_preview(self) -> None:  # noqa: B027 (empty on purpose: most need none)
        """Note what forward passes show, from now on, without training on it."""

    def end_preview(self) -> None:  # noqa: B027
        """Take in what the forward passes since `begin_preview` have shown."""

    @abstractmethod
    def end_step(self) -> None:
        """Move the state by what the step's forward passes have shown; in every process, or in none."""


def step_states(module: nn.Module) -> list[StepState]:
    """Return the parts of `module`, itself included, that have such state."""
    return [part for part in module.modules() if isinstance(part, StepState)]
