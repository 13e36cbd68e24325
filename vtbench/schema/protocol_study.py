"""A protocol study: one set of reconstructions, measured under several protocols."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, PositiveFloat, PositiveInt

from vtbench.schema.base import Frozen, Resolution
from vtbench.schema.preset import Preset, find_preset
from vtbench.schema.protocol import Scalar
from vtbench.schema.run import Component


class Degradation(Frozen):
    """What stands for a tokenizer: something that is done to images, at a strength.

    `blur` is Gaussian, `strength` its standard deviation in pixels, and gives floats as a decoder does; `jpeg` writes
    and reads a file of that quality.
    """

    name: str
    title: str
    kind: Literal["blur", "jpeg"]
    strength: PositiveFloat


class ProtocolArm(Frozen):
    """One way to measure: a preset, what of its fields is changed, and what the reference images are."""

    name: str
    title: str
    preset: str
    set: dict[str, Scalar] = Field(default_factory=dict)
    """Fields of the protocol in place of the preset's."""
    prepared_by: str | None = None
    """A preset that brings the sources to the size first, for protocols that do not resize."""
    reference: Literal["same images", "other images"] = "same images"
    """Others are the next of the same split, as many: the set is another one, the distribution is not."""
    reference_jpeg: PositiveInt | None = None
    """Quality at which the references are kept as JPEG files; null means without loss."""

    def resolved(self) -> Preset:
        """Return the preset with the arm's fields in place.

        Raises:
            StudyError: there is no such preset.
        """
        preset = find_preset(self.preset)
        features = {name: value for name, value in preset.features.items() if name not in self.set}
        return preset.model_copy(update={"fields": {**preset.fields, **self.set}, "features": features})


class ProtocolStudy(Frozen):
    """A protocol study's file, checked."""

    name: str
    path: str
    kind: Literal["protocols"]
    question: str
    source: str
    expected: str
    data: Component
    source_resolution: Resolution
    """At which the images come, before a protocol crops and resizes them."""
    resolution: Resolution
    num_samples: PositiveInt
    degradations: tuple[Degradation, ...]
    arms: tuple[ProtocolArm, ...]
    reference_arm: str
    metrics: tuple[str, ...]

    def arm(self, name: str) -> ProtocolArm:
        """Return the arm called `name`."""
        return next(arm for arm in self.arms if arm.name == name)
