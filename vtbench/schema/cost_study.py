"""A cost study: arms that are counted, not trained, at a grid of resolutions and lengths."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, PositiveFloat, PositiveInt

from vtbench.schema.base import Frozen, Resolution
from vtbench.schema.baseline import ModelCard
from vtbench.schema.cost import Workload

TOTAL = "total"
"""The component that is the sum of what one use of a model costs: encode, quantise and decode, or one forward."""


class CostArm(Frozen):
    """One model of the comparison: a card, what of its options is changed, and its workload."""

    name: str
    title: str
    model: str
    """Name of a card in `baselines/`, or of a registered tokenizer or generator."""
    set: dict[str, Any] = Field(default_factory=dict)
    """Options of the model in place of the card's."""
    num_tokens: PositiveInt | None = None
    """Null means the card's, which may grow with the image, or the axis' value where the card leaves it open."""
    patch: PositiveInt | None = None
    """Forced patch of an adaptive tokenizer; null means the card's, or else the tokenizer's own rule."""


class CostAxes(Frozen):
    """Where every arm is counted."""

    resolution: tuple[Resolution, ...]
    num_tokens: tuple[PositiveInt, ...] = ()
    """Lengths of all arms that do not state their own and whose tokens do not follow from the size."""


class PublishedCost(Frozen):
    """A figure that somebody published for an arm, and what it counts."""

    arm: str
    resolution: Resolution
    component: str = TOTAL
    convention: str
    value: PositiveFloat
    """In 10^9 of the convention's unit."""
    source: str | None = None
    """Null means the study's source."""


class CostStudy(Frozen):
    """A cost study's file, checked."""

    name: str
    path: str
    kind: Literal["cost"]
    question: str
    source: str
    expected: str
    arms: tuple[CostArm, ...]
    axes: CostAxes
    components: tuple[str, ...] = (TOTAL,)
    """What is shown: `total`, and components of the models by their names (`encode`, `decode`, `sampling`, ...)."""
    conventions: tuple[str, ...]
    """Conventions side by side; `full` is always one of them."""
    reference_arm: str
    published: tuple[PublishedCost, ...] = ()

    def arm(self, name: str) -> CostArm:
        """Return the arm called `name`."""
        return next(arm for arm in self.arms if arm.name == name)


class CostCell(Frozen):
    """One point of a cost study: an arm at a resolution and, if lengths are an axis, at a length."""

    arm: str
    length: PositiveInt | None
    """The value of the axis `num_tokens`; null if it is no axis or the arm has its own number of tokens."""
    workload: Workload


class CostPlan(Frozen):
    """A cost study with its cards: what will be counted."""

    study: CostStudy
    cards: dict[str, ModelCard]
    """Arm -> the card with the arm's options in its config."""
    cells: tuple[CostCell, ...]
