"""One training run: everything that decides what comes out of it.

Fields marked `identity=False` (worker counts, logging cadence) cannot change the result and are left out of the run's
id.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    NonNegativeFloat,
    NonNegativeInt,
    PositiveFloat,
    PositiveInt,
    model_validator,
)

from vtbench.schema.base import Frozen, Resolution
from vtbench.schema.generation import GenerationConfig, GenerationPoint

SCHEMA_VERSION = 1
IDENTITY_VERSION = 1
"""Raise this when the same config starts to mean another training: old results are then never reused."""


def irrelevant(default: Any) -> Any:
    """Declare a field that cannot change a run's result: it is left out of the run's id."""
    return Field(default=default, json_schema_extra={"identity": False})


def added(default: Any) -> Any:
    """Declare a field that older runs did not have: at its default it is left out of the id, so that theirs stay."""
    return Field(default=default, json_schema_extra={"identity": "unless default"})


class Component(BaseModel):
    """A registered component and its options, written flat: `{name: vibetoken, pos_embed: grid}`.

    The options are checked against the component's own `Config` when a study is expanded; a resolved component holds
    them all, defaults included.
    """

    model_config = ConfigDict(frozen=True, extra="allow", strict=True)

    name: str

    @property
    def options(self) -> dict[str, Any]:
        """The options without the name."""
        return dict(self.model_extra or {})


class MixingConfig(Frozen):
    """Which sizes a training step sees.

    `inputs` and `targets` give each resolution a weight (weights need not sum to 1). With a table of targets the
    target is drawn apart from the input; `targets: null` reconstructs at the input's size. `per`: one input and one
    target size for all images of a step, or a draw of its own for each image.
    """

    inputs: dict[Resolution, PositiveFloat]
    targets: dict[Resolution, PositiveFloat] | None = None
    horizontal_flip: bool = True
    per: Literal["batch", "sample"] = added("batch")


class OptimizerConfig(Frozen):
    """AdamW, or Muon for the blocks' matrices with AdamW for all other parameters."""

    name: Literal["adamw", "muon"] = "adamw"
    learning_rate: PositiveFloat = 1e-4
    betas: tuple[float, float] = (0.9, 0.999)
    weight_decay: NonNegativeFloat = 1e-4
    muon_learning_rate: PositiveFloat = 0.02
    muon_momentum: NonNegativeFloat = 0.95


class ScheduleConfig(Frozen):
    """Linear warm-up, then a cosine from 1 to `final_factor` times the learning rate."""

    warmup_steps: NonNegativeInt = 0
    final_factor: NonNegativeFloat = 0.1


class EmaConfig(Frozen):
    """Exponential moving average of the weights with the ramp (1 + step) / (10 + step)."""

    decay: NonNegativeFloat = 0.999


class NumTokensRange(Frozen):
    """Latent lengths to draw from, both ends included.

    `draw`: `uniform` from all lengths; `pow2` from the powers of two among them; `unifpow2` from all, then the next
    power of two, at most `max` (FlexTok's three). `per`: one length for all images of a step, or one for each image,
    which only tokenizers can train on that fill up what is missing.
    """

    min: PositiveInt
    max: PositiveInt
    draw: Literal["uniform", "pow2", "unifpow2"] = added("uniform")
    per: Literal["batch", "sample"] = added("batch")

    def probabilities(self) -> dict[int, float]:
        """Return how likely each length is to be drawn; lengths that cannot be are left out."""
        lengths: Sequence[int] = range(self.min, self.max + 1)
        if self.draw == "pow2":
            lengths = [length for length in lengths if length.bit_count() == 1]
        found: dict[int, float] = {}
        for length in lengths:
            drawn = min(1 << (length - 1).bit_length(), self.max) if self.draw == "unifpow2" else length
            found[drawn] = found.get(drawn, 0.0) + 1 / len(lengths)
        return found


class TrainConfig(Frozen):
    """The loop: how many steps of what size, with which optimiser.

    `batch_size` counts the images of a step: all processes together share them out, and each takes its share in
    `grad_accumulation` parts. `parallel` says what several processes do with the model: `ddp` copies it to each, `fsdp`
    divides its weights, gradients and optimiser state among them; alone, a process has all of it.
    """

    steps: PositiveInt
    batch_size: PositiveInt
    grad_accumulation: PositiveInt = added(1)
    num_tokens: NumTokensRange | None = None
    optimizer: OptimizerConfig = OptimizerConfig()
    schedule: ScheduleConfig = ScheduleConfig()
    ema: EmaConfig | None = EmaConfig()
    grad_clip: PositiveFloat | None = 1.0
    precision: Literal["fp32", "bf16", "fp16"] = "fp32"
    compile: bool = False
    checkpoint_every: PositiveInt = irrelevant(200)
    log_every: PositiveInt = irrelevant(20)
    num_workers: NonNegativeInt = irrelevant(0)
    parallel: Literal["ddp", "fsdp"] = irrelevant("ddp")

    @model_validator(mode="after")
    def _divides(self) -> TrainConfig:
        if self.batch_size % self.grad_accumulation:
            raise ValueError(
                f"batch_size {self.batch_size} is no multiple of grad_accumulation {self.grad_accumulation}"
            )
        if self.parallel == "fsdp" and self.precision == "fp16":
            raise ValueError("parallel fsdp trains in fp32 or bf16, not in fp16")
        return self


class PerceptualConfig(Frozen):
    """A distance between features: `effnet_lite0` (installs as a package), `lpips` or `convnext_s` (need files)."""

    name: str = "effnet_lite0"
    weight: PositiveFloat = 1.0


class GanConfig(Frozen):
    """Hinge GAN with LeCam regularisation (Tseng et al. 2021) that begins at `start_step`."""

    weight: PositiveFloat = 0.1
    start_step: NonNegativeInt
    discriminator_factor: PositiveFloat = 0.5
    lecam_weight: NonNegativeFloat = 0.001
    lecam_decay: NonNegativeFloat = 0.999
    base_channels: PositiveInt = 64
    num_layers: PositiveInt = 3
    learning_rate: PositiveFloat = 1e-4


class LossConfig(Frozen):
    """Weights of the tokenizer's losses."""

    mse: NonNegativeFloat = 1.0
    quantizer: NonNegativeFloat = 1.0
    perceptual: tuple[PerceptualConfig, ...] = ()
    gan: GanConfig | None = None


class TokensConfig(Frozen):
    """What of a data set a generator learns: the tokens of its training images, made once and kept.

    Each image gives `crops` views, each encoded at every one of `resolutions`, as it is and, with `flip`, mirrored.
    """

    resolutions: tuple[Resolution, ...] = Field(min_length=1)
    num_tokens: PositiveInt | None = None
    """Length; null: the tokenizer's full length."""
    crops: PositiveInt = 1
    flip: bool = True


class GeneratorConfig(Frozen):
    """A generator of the tokens that the run's tokenizer makes, and how it is trained.

    Options of `model` that follow from tokenizer, tokens and data (`num_codebooks`, `codebook_size`, `max_num_tokens`,
    `grid_size`, `num_classes`) are filled in when a study is resolved; writing another value is a mistake.
    """

    model: Component
    tokens: TokensConfig
    train: TrainConfig

    def points(self, generation: GenerationConfig) -> tuple[GenerationPoint, ...]:
        """Return where this generator is measured; tokens on a grid have no size but that at which they were made."""
        sizes = self.tokens.resolutions if "grid_size" in self.model.options else generation.resolutions
        return tuple(point for point in generation.points if point.resolution in sizes)

    @model_validator(mode="after")
    def _whole_sequences(self) -> GeneratorConfig:
        if self.train.num_tokens is not None:
            raise ValueError("a generator learns whole sequences; give their length in tokens.num_tokens")
        return self


class RunConfig(Frozen):
    """All that training depends on, except the seed.

    With `generator` the run trains a generator, and needs the run that the same config without it describes.
    """

    tokenizer: Component
    data: Component
    mixing: MixingConfig
    losses: LossConfig = LossConfig()
    train: TrainConfig
    generator: GeneratorConfig | None = added(None)

    @property
    def trained(self) -> TrainConfig:
        """How what this run trains is trained: the generator, if there is one, else the tokenizer."""
        return self.train if self.generator is None else self.generator.train

    def of_tokenizer(self) -> RunConfig:
        """Return the config of the run that trains the tokenizer: this one, if it has no generator."""
        return self if self.generator is None else self.model_copy(update={"generator": None})


class RunSpec(Frozen):
    """A run to be made: a fully resolved config, a seed, and the ids of the runs it needs first."""

    schema_version: int = SCHEMA_VERSION
    run_id: str
    config: RunConfig
    seed: int
    needs: tuple[str, ...] = ()
