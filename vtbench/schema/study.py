"""A study: one question, its arms, and the plan that answers it."""

from __future__ import annotations

from collections.abc import Container, Mapping
from typing import Any, Literal

from pydantic import Field, NonNegativeInt, PositiveFloat, PositiveInt, model_validator

from vtbench.schema.base import Frozen, Resolution, canonical_json, content_hash
from vtbench.schema.cluster import ClusterConfig
from vtbench.schema.expectation import Expectation
from vtbench.schema.generation import GenerationConfig
from vtbench.schema.run import SCHEMA_VERSION, RunSpec
from vtbench.schema.search import SearchConfig


class Route(Frozen):
    """A way to a picture that is not as large as what the encoder saw: super-resolution.

    The encoder gets the image at `input`, the decoder makes `decode`, and a plain resize makes `output` of it where
    that is another size. What comes out is measured against the image at that last size.
    """

    input: Resolution
    decode: Resolution
    output: Resolution | None = None
    """The size at which it is measured; null: the decoder's."""
    resize: Literal["bicubic", "bilinear"] = "bicubic"

    @model_validator(mode="after")
    def _leads_elsewhere(self) -> Route:
        if self.input == self.decode == self.resolution:
            raise ValueError(f"the route from {self.input} to itself is no other way; add {self.input} to resolutions")
        return self

    @property
    def resolution(self) -> Resolution:
        """The size at which it is measured."""
        return self.output or self.decode

    @property
    def name(self) -> str:
        """The route beside that size, for example `from_24x24` or `from_24x24_bicubic`."""
        at = "" if self.decode in (self.input, self.resolution) else f"_at_{self.decode}"
        return f"from_{self.input}{at}{'' if self.decode == self.resolution else f'_{self.resize}'}"


class EvaluateConfig(Frozen):
    """Where and on how much a trained tokenizer is measured.

    Every metric is measured at each resolution, encoded and decoded at that size, and at the end of each route;
    `num_tokens: [null]` means the model's full length. The evaluation is
    no part of a run's id: changing it never trains again.
    """

    resolutions: tuple[Resolution, ...]
    routes: tuple[Route, ...] = ()
    num_tokens: tuple[PositiveInt | None, ...] = (None,)
    num_samples: PositiveInt
    batch_size: PositiveInt = 16
    num_pictures: PositiveInt = 8
    """How many images of the picture grids each run keeps."""
    throughput_repeats: PositiveInt = 5
    generation: GenerationConfig | None = None
    """What of runs with a generator is measured; all else above is for tokenizers."""

    @property
    def places(self) -> tuple[tuple[Resolution, str | None], ...]:
        """Size and name of the route (None: no other size than this) of all that is measured, in order."""
        plain = [(resolution, None) for resolution in self.resolutions]
        return (*plain, *((route.resolution, route.name) for route in self.routes))

    def route(self, resolution: Resolution, name: str | None) -> Route | None:
        """Return the route that leads to a place; None where there is none."""
        return next((each for each in self.routes if (each.resolution, each.name) == (resolution, name)), None)


class Need(Frozen):
    """A run of another study, of the same profile and seed, that a run starts from."""

    study: str
    arm: str
    at: dict[str, Any] = Field(default_factory=dict)
    """Values of that study's axes, where its arm has several runs."""


class Arm(Frozen):
    """One answer to the question: a title and the values that set it apart, by config path."""

    name: str
    title: str
    set: dict[str, Any]
    needs: dict[str, Need] = Field(default_factory=dict)
    """What its runs start from, by role, above the study's."""


class ResourceConfig(Frozen):
    """What one run of a profile needs of a machine; used by `plan` and by launchers."""

    device: str = "cpu"
    num_gpus: NonNegativeInt = 0
    """GPUs of one run, on all its nodes together."""
    num_nodes: PositiveInt = 1
    num_ranks: PositiveInt | None = None
    """Processes that train one run together; null means one for each GPU."""
    num_threads: PositiveInt | None = None
    """Threads of one run on a CPU, null for all cores. Fixed, it makes results independent of the number of cores, and
    several runs share a machine."""
    num_cpus: PositiveInt | None = None
    """Cores that a job asks for, for each rank; null means `num_threads`, or what the cluster's file says."""
    memory_gb: PositiveFloat | None = None
    """Memory that a job asks for on each node."""
    minutes: PositiveInt | None = None
    """Time limit of a job. A run that takes longer is saved, queued again and goes on."""
    cluster: ClusterConfig = ClusterConfig()
    """Options of the cluster that this profile needs; they count before those of the cluster's file."""
    peak_flops: float | None = None
    """Peak of one device in FLOP/s at the training precision, for the estimate of hours."""
    utilisation: float = 0.4
    """Share of the peak that training is assumed to reach."""

    @model_validator(mode="after")
    def _check_nodes(self) -> ResourceConfig:
        for name in ("num_gpus", "num_ranks"):
            if (getattr(self, name) or 0) % self.num_nodes:
                raise ValueError(f"{name} must be a multiple of num_nodes, so that all nodes have the same share")
        return self

    @property
    def ranks_per_node(self) -> int:
        """Processes of one run on each of its nodes."""
        return max(1, (self.num_ranks or self.num_gpus) // self.num_nodes)


class Profile(Frozen):
    """A scale at which the question can be asked: `tiny`, `gpu` or `paper`."""

    name: str
    note: str
    cost: str
    set: dict[str, Any] = Field(default_factory=dict)
    arms: dict[str, dict[str, Any]] = Field(default_factory=dict)
    """Values of arms that depend on the scale (pixels, codebooks), by arm; they are laid over the arm's own."""
    seeds: tuple[int, ...] | None = None
    metrics: tuple[str, ...] | None = None
    """What is measured at this scale, where it is not what the study says."""
    expectations: tuple[Expectation, ...] = ()
    """What is expected at this scale, beside what the study says: with sizes and lengths that only it has."""
    remarks: str = ""
    """What its authors saw after the runs and found as causes; the report shows it under the expectations."""
    resources: ResourceConfig = ResourceConfig()

    def values_of(self, arm: Arm) -> dict[str, Any]:
        """Return what sets an arm apart at this scale, by config path."""
        return {**arm.set, **self.arms.get(arm.name, {})}


class Study(Frozen):
    """A study file, checked; `base` and the arms' values are still unresolved."""

    name: str
    path: str
    extends: str | None = None
    """The study whose base and profiles this one's stand on; those below are both together."""
    question: str
    source: str
    expected: str
    expectations: tuple[Expectation, ...] = ()
    """The same in a form that a report can test."""
    base: dict[str, Any]
    arms: tuple[Arm, ...]
    axes: dict[str, tuple[Any, ...]] = Field(default_factory=dict)
    exclude: tuple[dict[str, Any], ...] = ()
    """Cells of the grid that are left out, by `arm` and values of axes."""
    include: tuple[dict[str, Any], ...] = ()
    """Cells beside the grid, by `arm` and values at any config path."""
    seeds: tuple[int, ...] = (0,)
    metrics: tuple[str, ...]
    profiles: tuple[Profile, ...]
    reference_arm: str
    needs: dict[str, Need] = Field(default_factory=dict)
    """What the runs of all arms start from, by role (`tokenizer`)."""
    published: tuple[str, ...] = ()
    """Names of files in `baselines/` whose figures the report shows beside its own."""
    search: SearchConfig | None = None
    """With it the study has one implicit arm, whose values are searched for."""


class Cell(Frozen):
    """One point of a study: an arm at some axis values and one seed, and the run that answers it."""

    arm: str
    coordinates: dict[str, Any]
    seed: int
    run_id: str

    def of_tokenizer(self, run_id: str) -> Cell:
        """Return the place of the run that the cell's generator needs, which has no cell of its own."""
        return self.model_copy(update={"arm": f"tokenizer of {self.arm}", "run_id": run_id})


class ArmFacts(Frozen):
    """What an arm costs, counted before anything runs: the ground for comparing arms fairly."""

    arm: str
    coordinates: dict[str, Any]
    num_parameters: int
    training_flops: float
    """Forward and backward of all steps, 2 x multiply-accumulate, attention included."""
    images_seen: int
    steps: int
    num_tokens: str
    tokenizer_parameters: int | None = None
    """Of a generator's arm: the parameters of its tokenizer, which `num_parameters` leaves out."""
    tokenizer_flops: float | None = None
    """The arithmetic of training that tokenizer, which `training_flops` leaves out."""


class StudyPlan(Frozen):
    """A study at one profile, resolved: what will run and what will be measured."""

    schema_version: int = SCHEMA_VERSION
    study: Study
    profile: Profile
    seeds: tuple[int, ...]
    metrics: tuple[str, ...]
    evaluate: EvaluateConfig
    cells: tuple[Cell, ...]
    runs: dict[str, RunSpec]
    facts: tuple[ArmFacts, ...] = ()
    overrides: dict[str, Any] = Field(default_factory=dict)
    """Values that the command line set, by config path."""
    needs: tuple[StudyPlan, ...] = ()
    """Parts of other studies' plans whose runs come first."""

    @property
    def id(self) -> str:
        """`study@profile`: the folder under `<root>/studies/`.

        With values from the command line it is another plan, `study@profile+<hash>`, which never takes the place of the
        study's own.
        """
        return plan_id(self.study.name, self.profile.name, self.overrides)

    @property
    def expectations(self) -> tuple[Expectation, ...]:
        """What is expected at this profile."""
        return (*self.study.expectations, *self.profile.expectations)

    def cell_of(self, run_id: str) -> Cell:
        """Return the first cell that a run answers, or that is answered by a run which needs it."""
        own = next((cell for cell in self.cells if cell.run_id == run_id), None)
        if own is not None:
            return own
        needing = next(cell for cell in self.cells if run_id in self.runs[cell.run_id].needs)
        return needing.of_tokenizer(run_id)

    def part(self, run_ids: Container[str]) -> StudyPlan:
        """Return the plan of some cells' runs, and of those of this plan that they need."""
        cells = tuple(cell for cell in self.cells if cell.run_id in run_ids)
        mine = {each for cell in cells for each in (cell.run_id, *self.runs[cell.run_id].needs)}
        runs = {run_id: spec for run_id, spec in self.runs.items() if run_id in mine}
        return self.model_copy(update={"cells": cells, "runs": runs})

    @property
    def command(self) -> str:
        """The command that makes this plan and runs it."""
        words = ["python -m vtbench run", self.study.path, f"--profile {self.profile.name}"]
        if self.seeds == tuple(range(len(self.seeds))):
            words.append(f"--seeds {len(self.seeds)}")
        return " ".join([*words, *(f"--set {path}={canonical_json(value)}" for path, value in self.overrides.items())])


def plan_id(study: str, profile: str, overrides: Mapping[str, Any]) -> str:
    """Return `study@profile`, with a mark for values from the command line."""
    return f"{study}@{profile}{f'+{content_hash(overrides, 6)}' if overrides else ''}"
