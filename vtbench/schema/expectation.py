"""What a study expects, so that its report can say whether it came out."""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveFloat, PositiveInt, model_validator

from vtbench.schema.base import Frozen

Relation = Literal["better_than", "like", "no_worse_than"]


class Expectation(Frozen):
    """One arm against others in one metric: exactly one of `better_than`, `like` and `no_worse_than`.

    All that one expectation speaks of - arms, sizes, lengths - is one family of tests.
    """

    arm: str
    better_than: str | tuple[str, ...] | None = None
    """Arms that it is better than."""
    like: str | tuple[str, ...] | None = None
    """Arms that it differs from by less than `within`."""
    no_worse_than: str | tuple[str, ...] | None = None
    """Arms that it is worse than by less than `within`, if at all."""
    metric: str | None = None
    """Null: the first distance that the study measures."""
    at: str = "all"
    """A size, or `trained`, `unseen` or `all`: the sizes that a run was trained at, the others, both."""
    num_tokens: PositiveInt | tuple[PositiveInt, ...] | Literal["full", "each"] = "full"
    route: str | None = None
    """The way to that size; null: encoding and decoding at it."""
    than_route: str | None = None
    """The other way to that size, by which the same arm is measured: how routes are compared."""
    within: PositiveFloat = 0.1
    """Largest difference that counts as none, as a share of the other's value."""

    @model_validator(mode="after")
    def _check_relation(self) -> Expectation:
        given = [name for name in ("better_than", "like", "no_worse_than") if getattr(self, name) is not None]
        if len(given) != 1:
            raise ValueError(f"write one of better_than, like and no_worse_than, not {' and '.join(given) or 'none'}")
        if self.than_route is not None and self.others != (self.arm,):
            raise ValueError("than_route compares two ways within one arm: name the same arm on both sides")
        if self.than_route is None and self.arm in self.others:
            raise ValueError(f"{self.arm} is compared with itself; name another arm, or a than_route")
        return self

    @property
    def relation(self) -> Relation:
        """Which of the three is given."""
        if self.better_than is not None:
            return "better_than"
        return "like" if self.like is not None else "no_worse_than"

    @property
    def others(self) -> tuple[str, ...]:
        """The arms that it is compared with."""
        named = getattr(self, self.relation)
        return (named,) if isinstance(named, str) else tuple(named)
