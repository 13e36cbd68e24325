"""Where and on how much a trained generator is measured: how it samples, and at which sizes its tokens are decoded."""

from __future__ import annotations

import itertools
from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from vtbench.schema.base import Frozen, Resolution

Share = Annotated[float, Field(gt=0, le=1)]


class CfgSchedule(Frozen):
    """How strong guidance is along the tokens: `constant`, a `cosine` from `cfg_scale` to 1, or only in an `interval`.

    `power` bends the cosine; `first` and `last` are the ends of the interval, both included.
    """

    name: Literal["constant", "cosine", "interval"] = "constant"
    power: PositiveFloat = 1.0
    first: NonNegativeInt = 0
    last: NonNegativeInt | None = None

    @model_validator(mode="after")
    def _interval_has_an_end(self) -> CfgSchedule:
        if (self.name == "interval") != (self.last is not None):
            raise ValueError("an interval needs its last token, and only it has one: {name: interval, last: N}")
        return self


class Sampling(Frozen):
    """How tokens are drawn; with equal settings and seeds the same images come out."""

    cfg_scale: float
    top_k: int | None
    top_p: float | None
    temperature: float


class GenerationPoint(Frozen):
    """One way to make images: how tokens are drawn, how many of them are decoded, and at which size."""

    resolution: Resolution
    num_tokens: int | None
    """Length of the prefix that is decoded; None: all tokens."""
    sampling: Sampling

    @property
    def params(self) -> dict[str, str | int | float | None]:
        """The point as a value's `params` carry it."""
        return {"resolution": self.resolution, "num_tokens": self.num_tokens, **dict(self.sampling)}

    @property
    def name(self) -> str:
        """The point as a part of file names, for example `48x48_L8_cfg2.0_k64_p0.9_t1.0`."""
        sampling = self.sampling
        length = "full" if self.num_tokens is None else self.num_tokens
        parts = [self.resolution, f"L{length}", f"cfg{sampling.cfg_scale}"]
        parts += [f"k{sampling.top_k}"] if sampling.top_k is not None else []
        parts += [f"p{sampling.top_p}"] if sampling.top_p is not None else []
        return "_".join([*parts, f"t{sampling.temperature}"])


class GenerationConfig(Frozen):
    """Which samples of a trained generator are measured; all lists together make a grid of points.

    Tokens are drawn once for each way of sampling, decoded at each resolution, and shorter lengths are prefixes of
    them.
    """

    resolutions: tuple[Resolution, ...] = Field(min_length=1)
    """Sizes to decode at."""
    condition: Resolution | None = None
    """Size that a generator with such a condition is asked for; null: the first that its tokens were made at."""
    num_tokens: tuple[PositiveInt | None, ...] = Field(default=(None,), min_length=1)
    cfg_scale: tuple[NonNegativeFloat, ...] = Field(default=(1.0,), min_length=1)
    cfg_schedule: CfgSchedule = CfgSchedule()
    top_k: tuple[PositiveInt | None, ...] = Field(default=(None,), min_length=1)
    top_p: tuple[Share | None, ...] = Field(default=(None,), min_length=1)
    temperature: tuple[PositiveFloat, ...] = Field(default=(1.0,), min_length=1)
    num_samples: PositiveInt
    """Images at each point."""
    classes: Literal["balanced", "as_training"] = "balanced"
    """How often each class is asked for: all alike, or as the training split has them where classes differ."""
    num_reference: PositiveInt | None = None
    """Training images that samples are compared with; null: all."""
    batch_size: PositiveInt = 16
    num_classes_shown: PositiveInt = 9
    """How many classes the sample grids of a report show."""
    num_shown: PositiveInt = 8
    """Samples that they show of each."""
    write_images: bool = False
    """Also write each sample as a PNG."""

    @property
    def samplings(self) -> tuple[Sampling, ...]:
        """All ways of sampling, in order."""
        grid = itertools.product(self.cfg_scale, self.top_k, self.top_p, self.temperature)
        return tuple(
            Sampling(cfg_scale=scale, top_k=top_k, top_p=top_p, temperature=temperature)
            for scale, top_k, top_p, temperature in grid
        )

    @property
    def points(self) -> tuple[GenerationPoint, ...]:
        """All that is measured, in order: by way of sampling, then resolution, then length."""
        grid = itertools.product(self.samplings, self.resolutions, self.num_tokens)
        return tuple(
            GenerationPoint(resolution=resolution, num_tokens=num_tokens, sampling=sampling)
            for sampling, resolution, num_tokens in grid
        )
