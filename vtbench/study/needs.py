"""Runs of other studies that a study's runs start from: `needs: {tokenizer: {study: pos_embed, arm: grid_adaptive}}`.

A need stands at the top of a study, for all arms, or in an arm, where it takes the place of the study's of that role.
It means the run of the same profile and seed. The needed runs belong to a part of the other study's plan, which comes
with this plan and is made first; its ids are part of the ids of the runs that need it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from vtbench.errors import StudyError, suggest
from vtbench.schema.base import canonical_json
from vtbench.schema.study import Arm, Cell, Need, Study, StudyPlan
from vtbench.study.load import find_study, load_study
from vtbench.study.yaml_file import KeyPath, YamlFile

PlanOf = Callable[[Study], StudyPlan]
"""Expands another study at the same profile and seeds."""


class Needed:
    """The runs of other studies that the arms of one study need."""

    def __init__(self, study: Study, file: YamlFile, plan_of: PlanOf) -> None:
        self._study, self._file, self._plan_of = study, file, plan_of
        self._plans: dict[str, StudyPlan] = {}
        self._cells: dict[str, dict[str, Cell]] = {}

    def run_ids(self, arm: Arm, seeds: Sequence[int]) -> dict[int, tuple[str, ...]]:
        """Return the ids of the runs that an arm's runs start from, by seed, in the order of their roles' names.

        Raises:
            StudyError: a need names no run, or more than one; begins with `file:line`.
        """
        roles = {**self._study.needs, **arm.needs}
        found = {role: self._of_role(need, self._place(arm, role), seeds) for role, need in sorted(roles.items())}
        return {seed: tuple(by_seed[seed] for by_seed in found.values()) for seed in seeds}

    def parts(self) -> tuple[StudyPlan, ...]:
        """Return the parts of other studies' plans that hold what `run_ids` has named, a part a study."""
        parts = []
        for name, plan in self._plans.items():
            parts.append(plan.part(self._cells[name]))
        return tuple(parts)

    def _place(self, arm: Arm, role: str) -> KeyPath:
        return ("arms", arm.name, "needs", role) if role in arm.needs else ("needs", role)

    def _of_role(self, need: Need, place: KeyPath, seeds: Sequence[int]) -> dict[int, str]:
        where = self._file.locate(place)
        plan = self._plan(need, str(self._file.locate((*place, "study"))))
        if need.arm not in (arms := [arm.name for arm in plan.study.arms]):
            line = self._file.locate((*place, "arm"))
            raise StudyError(f"{line}: needs: {need.study} has no arm '{need.arm}'.{suggest(need.arm, arms)}")
        cells = [cell for cell in plan.cells if cell.arm == need.arm and _at(cell.coordinates, need.at)]
        found: dict[int, str] = {}
        for seed in seeds:
            of_seed = {cell.run_id: cell for cell in cells if cell.seed == seed}
            if len(of_seed) != 1:
                many = f"{len(of_seed)} runs; choose one by `at: {{AXIS: VALUE}}`" if of_seed else "no run"
                raise StudyError(f"{where}: needs: {need.study}/{need.arm} at seed {seed} means {many}.")
            self._cells[need.study] |= of_seed
            found[seed] = next(iter(of_seed))
        return found

    def _plan(self, need: Need, where: str) -> StudyPlan:
        if need.study not in self._plans:
            folder = Path(self._study.path).parent
            path = folder / f"{need.study}.yaml"
            if need.study == self._study.name or not path.is_file():
                known = [found.stem for found in folder.glob("*.yaml") if found.stem != self._study.name]
                raise StudyError(f"{where}: needs: there is no other study {path}.{suggest(need.study, known)}")
            self._plans[need.study] = self._plan_of(load_study(find_study(str(path))))
            self._cells[need.study] = {}
        return self._plans[need.study]


def _at(coordinates: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return all(
        path in coordinates and canonical_json(coordinates[path]) == canonical_json(value)
        for path, value in wanted.items()
    )
