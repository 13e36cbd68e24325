"""What a plan still has to do, against what its store holds: which runs, how much arithmetic, how much disk."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from vtbench.evaluate import METRICS
from vtbench.launch.reuse import Asked
from vtbench.schema.study import ArmFacts, StudyPlan
from vtbench.store.layout import Store
from vtbench.store.outline import load_outlines

BYTES_PER_PARAMETER = 4 * 4 * 2
"""float32; weights, average and two moments of the optimiser; two checkpoints are kept."""


@dataclass(frozen=True, kw_only=True)
class WorkLeft:
    """A plan's runs by what is left to do; each is in one group.

    Attributes:
        done: nothing; they are reused.
        to_measure: trained, but without some of the values that the plan asks for.
        to_resume: begun; they go on from their last checkpoint.
        to_train: all.
    """

    done: frozenset[str]
    to_measure: frozenset[str]
    to_resume: frozenset[str]
    to_train: frozenset[str]

    @property
    def jobs(self) -> int:
        """How many runs get a job."""
        return len(self.to_measure) + len(self.to_resume) + len(self.to_train)

    @property
    def trains(self) -> frozenset[str]:
        """Runs that train, at least in part."""
        return self.to_resume | self.to_train


def work_left(store: Store, plan: StudyPlan) -> WorkLeft:
    """Return what is left to do of a plan; nothing is started.

    Raises:
        StoreError: a record is broken or of a newer version.
    """
    asked, outlines = Asked(plan), load_outlines(store, plan.runs)
    groups: dict[str, set[str]] = {"done": set(), "to_measure": set(), "to_resume": set(), "to_train": set()}
    for run_id in plan.runs:
        outline = outlines.get(run_id)
        if outline is None:
            groups["to_train"].add(run_id)
        elif not outline.has_trained():
            groups["to_resume"].add(run_id)
        else:
            held = outline.status == "done" and asked.held(run_id, outline)
            groups["done" if held else "to_measure"].add(run_id)
    return WorkLeft(**{name: frozenset(runs) for name, runs in groups.items()})


def runs_by_fact(plan: StudyPlan) -> list[tuple[ArmFacts, list[str]]]:
    """Return the runs of each of the plan's facts; a run that several arms share is with each of them."""
    runs: dict[tuple[str, str], dict[str, None]] = {}
    for cell in plan.cells:
        runs.setdefault((cell.arm, repr(cell.coordinates)), {})[cell.run_id] = None
    return [(fact, list(runs.get((fact.arm, repr(fact.coordinates)), {}))) for fact in plan.facts]


def facts_by_run(plan: StudyPlan) -> dict[str, ArmFacts]:
    """Return what each run costs to train; a run that several arms share is there once.

    Of the run of a tokenizer that a generator needs, they are the tokenizer's figures beside the generator's.
    """
    own = {run_id: fact for fact, run_ids in runs_by_fact(plan) for run_id in run_ids}
    needed: dict[str, ArmFacts] = {}
    for run_id, fact in own.items():
        figures = {"num_parameters": fact.tokenizer_parameters, "training_flops": fact.tokenizer_flops}
        if plan.runs[run_id].config.generator is not None:
            needed[plan.runs[run_id].needs[0]] = fact.model_copy(update=figures)
    return {**needed, **own}


def measured_bytes(plan: StudyPlan) -> int:
    """Return the bytes of what one run keeps of each measured image, at all points of the plan.

    Codes and latents, whose size the model decides, are left out; so is what all runs share, the reference's rows.
    """
    quantities = {each.key: each for name in plan.metrics for each in METRICS.load(name)().quantities()}
    row: int = sum(
        math.prod(each.row_shape) * np.dtype(each.dtype).itemsize
        for each in quantities.values()
        if each.side != "reference" and each.row_shape is not None
    )
    return row * plan.evaluate.num_samples * len(plan.evaluate.places) * len(plan.evaluate.num_tokens)
