"""Cells of a cost study -> what they cost, each counted once and kept in the store.

A count is stored under a hash of all that decides it: the model's config, the workload, and the code (defaults
included) that builds and counts it. So a stored count is never stale, and the same command counts only what is new.
"""

from __future__ import annotations

import hashlib
import inspect
import json
from collections.abc import Callable
from functools import cache
from importlib.metadata import version
from pathlib import Path

from pydantic import ValidationError

import vtbench
from vtbench.cost.model_cost import count_model
from vtbench.errors import CostError, ResolutionError, StoreError
from vtbench.models.generators import GENERATORS
from vtbench.models.tokenizers import TOKENIZERS
from vtbench.runner.build import build_card
from vtbench.schema.base import content_hash
from vtbench.schema.baseline import ModelCard
from vtbench.schema.cost import ModelCost, Workload
from vtbench.schema.cost_study import CostCell, CostPlan
from vtbench.store.files import read_json, write_atomic
from vtbench.store.layout import Store

_REGISTRIES = {"tokenizer": TOKENIZERS, "generator": GENERATORS}
_COUNTING_CODE = ("cost", "models", "schema/cost.py")
_COUNTERS = ("torch", "fvcore")
_KEY_LENGTH = 24

OnCell = Callable[[CostCell, ModelCost, bool], None]
"""Called with (cell, its cost, whether it was counted now) as cells become known."""


def count_plan(
    store: Store, plan: CostPlan, *, fresh: bool = False, on_cell: OnCell | None = None
) -> tuple[ModelCost, ...]:
    """Return the cost of each cell of a plan, counting what the store lacks.

    Args:
        store: where counts are kept.
        plan: what to count.
        fresh: count again what is there already.
        on_cell: told of each cell.

    Raises:
        CostError: a model cannot be counted, or cannot handle a size; the message names arm and size.
        StoreError: a stored count is broken.
    """
    found: list[ModelCost] = []
    counted: dict[str, ModelCost] = {}
    for cell in plan.cells:
        key = cost_key(plan.cards[cell.arm], cell.workload)
        cost = counted.get(key) if fresh else counted.get(key) or load_cost(store, key)
        new = cost is None
        if cost is None:
            cost = _count(plan.cards[cell.arm], cell)
            write_atomic(store.cost_path(key), cost.model_dump_json() + "\n")
        counted[key] = cost
        found.append(cost)
        if on_cell is not None:
            on_cell(cell, cost, new)
    return tuple(found)


def stored_costs(store: Store, plan: CostPlan) -> tuple[ModelCost | None, ...]:
    """Return the cost of each cell of a plan as far as the store has it; raises a `StoreError` if a file is broken."""
    return tuple(load_cost(store, cost_key(plan.cards[cell.arm], cell.workload)) for cell in plan.cells)


def load_cost(store: Store, key: str) -> ModelCost | None:
    """Return the stored count called `key`, or None.

    Raises:
        StoreError: the file is broken.
    """
    path = store.cost_path(key)
    if not path.exists():
        return None
    try:
        return ModelCost.model_validate_json(json.dumps(read_json(path)))
    except ValidationError as error:
        raise StoreError(f"{path}: not a count of this version. Delete the file to have it counted again.") from error


def cost_key(card: ModelCard, workload: Workload) -> str:
    """Return the hash of all that decides what a model costs.

    Args:
        card: with the config that is built; defaults that it leaves out are part of the code.
        workload: what the model does.
    """
    source = Path(inspect.getfile(_REGISTRIES[card.kind].load(card.config["name"])))
    return content_hash(
        {
            "kind": card.kind,
            "config": card.config,
            "grid": None if card.grid is None else card.grid.model_dump(mode="json"),
            "workload": workload.model_dump(mode="json"),
            "counting": counting_version(),
            "component": hashlib.sha256(source.read_bytes()).hexdigest(),
        },
        _KEY_LENGTH,
    )


@cache
def counting_version() -> str:
    """Return a hash of the code that builds and counts models, and of the versions of the tools it counts with."""
    package = Path(vtbench.__file__).parent
    digest = hashlib.sha256()
    for part in _COUNTING_CODE:
        path = package / part
        for source in [path] if path.is_file() else sorted(path.rglob("*.py")):
            digest.update(source.relative_to(package).as_posix().encode() + b"\0" + source.read_bytes() + b"\0")
    for tool in _COUNTERS:
        digest.update(f"{tool} {version(tool)}\n".encode())
    return digest.hexdigest()


def _count(card: ModelCard, cell: CostCell) -> ModelCost:
    try:
        return count_model(card.config["name"], build_card(card, workload=cell.workload), cell.workload)
    except (CostError, ResolutionError) as error:
        raise CostError(f"arm '{cell.arm}' at {cell.workload.resolution}: {error}") from error
