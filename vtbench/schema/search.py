"""A search: which values of a config to try, what to optimise, and the ledger of what was asked and told.

A study with `search:` has no arms: its trials are asked of Optuna one batch after another. All that decides which
values are asked stands here, so that a search can be replayed.
"""

from __future__ import annotations

from typing import Any, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from vtbench.schema.base import Frozen, canonical_json
from vtbench.schema.run import SCHEMA_VERSION

Direction = Literal["min", "max"]
TrialState = Literal["asked", "done", "pruned", "failed"]
FIRST, LAST = "first", "last"
"""The first and the last resolution of a profile's `evaluate`: profiles measure at other sizes."""


class SamplerConfig(Frozen):
    """Who proposes values: Optuna's TPE, CMA-ES, grid or random sampler."""

    name: Literal["tpe", "cmaes", "grid", "random"] = "tpe"
    seed: NonNegativeInt = 0
    num_startup_trials: NonNegativeInt | None = None
    """Trials drawn at random before TPE or CMA-ES propose; null means Optuna's own number (10 and 1)."""


class PrunerConfig(Frozen):
    """When a trial is stopped: means of a value of the training log are compared by Optuna at some steps.

    `median` and `percentile` compare with the trials of earlier batches at that step, `successive_halving` and
    `hyperband` with those that came as far.
    """

    name: Literal["none", "median", "percentile", "successive_halving", "hyperband"] = "none"
    value: str = "loss"
    """A value of the training log; what is compared at a step is its mean over the last log lines before it."""
    direction: Direction = "min"
    shares: tuple[PositiveFloat, ...] = (0.25, 0.5, 0.75)
    """After which shares of its training steps a trial is looked at."""
    window: PositiveFloat = 0.1
    """The log lines of this share of the training, before each look, are averaged; the first ones say little."""
    num_startup_trials: NonNegativeInt = 5
    """`median`, `percentile`: finished trials before any is pruned."""
    percentile: PositiveFloat = 25.0
    """`percentile`: this share of the trials, in percent, is kept."""
    reduction_factor: PositiveInt = 2
    """`successive_halving`, `hyperband`: of so many trials one goes on."""

    @model_validator(mode="after")
    def _check_values(self) -> PrunerConfig:
        if not self.shares or list(self.shares) != sorted(set(self.shares)) or self.shares[-1] >= 1:
            raise ValueError("shares must be rising numbers below 1, at least one: parts of the training")
        if self.window > 1:
            raise ValueError("window is a share of the training, at most 1")
        if self.percentile > 100:
            raise ValueError("percentile is a share in percent, at most 100")
        if self.reduction_factor < 2:
            raise ValueError("reduction_factor must be at least 2")
        return self

    def steps(self, num_steps: int) -> tuple[int, ...]:
        """Return after which steps of a training of `num_steps` a trial is looked at."""
        return tuple(dict.fromkeys(max(1, round(share * num_steps)) for share in self.shares))


class Objective(Frozen):
    """A value to optimise: a metric of the study, or a cost such as `gflops`, at one point."""

    metric: str
    direction: Direction
    at: str = FIRST
    """`first` or `last` of the resolutions that the profile measures, or one of them as `HxW`."""
    num_tokens: PositiveInt | None = None
    """One of the measured lengths; null means the first of them."""

    @property
    def label(self) -> str:
        """How it is called where its point is plain: `psnr at first`."""
        return f"{self.metric} at {self.at}{f', L={self.num_tokens}' if self.num_tokens else ''}"


class SearchParameter(Frozen):
    """The values that a config path may take: a range of numbers, or choices."""

    low: float | None = None
    high: float | None = None
    log: bool = False
    """Even in the logarithm."""
    type: Literal["float", "int"] = "float"
    step: PositiveFloat | None = None
    num_points: PositiveInt | None = None
    """How many values a grid takes from a range; whole numbers need none, then all are taken."""
    choices: tuple[Any, ...] | None = None

    @model_validator(mode="after")
    def _check_form(self) -> SearchParameter:
        if self.choices is not None:
            if any(getattr(self, name) != field.default for name, field in _RANGE_FIELDS.items()):
                raise ValueError("choices stand alone, without low, high, log, type, step and num_points")
            if not self.choices or len({canonical_json(choice) for choice in self.choices}) < len(self.choices):
                raise ValueError("choices must be different values, at least one")
        elif self.low is None or self.high is None:
            raise ValueError("either low and high or choices are needed")
        elif self.low > self.high:
            raise ValueError(f"low {self.low:g} is above high {self.high:g}")
        elif self.log and (self.low <= 0 or self.step is not None):
            raise ValueError("a logarithmic range needs a low above 0 and no step")
        elif self.type == "int" and any(value % 1 for value in (self.low, self.high, self.step or 1)):
            raise ValueError("type int needs whole numbers for low, high and step")
        return self

    @property
    def ends(self) -> tuple[Any, ...]:
        """The values at the edge of what can be asked: both ends of a range, or all choices."""
        if self.choices is not None:
            return self.choices
        assert self.low is not None
        assert self.high is not None
        ends = (self.low, self.high) if self.low < self.high else (self.low,)
        return tuple(int(end) for end in ends) if self.type == "int" else ends

    def contains(self, value: Any) -> bool:
        """Return whether a value can be tried."""
        if self.choices is not None:
            return canonical_json(value) in map(canonical_json, self.choices)
        if isinstance(value, bool) or not isinstance(value, int if self.type == "int" else int | float):
            return False
        return bool(self.ends[0] <= value <= self.ends[-1])


_RANGE_FIELDS = {name: field for name, field in SearchParameter.model_fields.items() if name != "choices"}


class SearchConfig(Frozen):
    """The `search` section of a study file."""

    sampler: SamplerConfig = SamplerConfig()
    pruner: PrunerConfig = PrunerConfig()
    objectives: tuple[Objective, ...]
    space: dict[str, SearchParameter]
    """Config path -> its values."""
    trials: PositiveInt | dict[str, PositiveInt]
    """How many trials, or how many at each profile."""
    parallel: PositiveInt = 1
    """Trials of a batch: they are asked together, may train at once, and are told together."""
    start: tuple[dict[str, Any], ...] = ()
    """Values to try first, such as those of a known recipe."""

    def num_trials(self, profile: str) -> int:
        """Return how many trials a profile takes; a profile that is not named takes as many as the first that is."""
        if isinstance(self.trials, int):
            return self.trials
        return self.trials.get(profile, next(iter(self.trials.values())))


class Trial(Frozen):
    """Values that were asked, and what was told of them.

    Attributes:
        number: from 0, in the order of asking.
        batch: trials of one batch were asked before any of them was told.
        values: config path -> value.
        run_ids: the runs that answer it, one a seed; empty if the values make no valid config.
        state: `asked` until told; `failed`: training broke, or the values make no valid config.
        objectives: what was told, in the study's order, means over seeds; empty unless done.
        reported: (training step, value) as the pruner saw them.
        rungs: what the pruner notes of the trial for later ones.
        cause: why it failed.
    """

    number: int
    batch: int
    values: dict[str, Any]
    run_ids: tuple[str, ...] = ()
    state: TrialState = "asked"
    objectives: tuple[float, ...] = ()
    reported: tuple[tuple[int, float], ...] = ()
    rungs: dict[str, float] = Field(default_factory=dict)
    cause: str | None = None

    @property
    def name(self) -> str:
        """The name of its arm."""
        return f"trial-{self.number:03d}"


class SearchLedger(Frozen):
    """All trials of a search at one profile, in order; one file, replaced whole at each ask and each tell."""

    schema_version: int = SCHEMA_VERSION
    fingerprint: str
    """Of all that decides what is asked and told, except the number of trials."""
    optuna: str
    """The version that proposed the values."""
    trials: tuple[Trial, ...] = ()

    @property
    def told(self) -> tuple[Trial, ...]:
        """The trials of whole batches that were told."""
        return tuple(trial for trial in self.trials if trial.state != "asked")
