"""The ledger of a search: `<root>/studies/<plan>/search.json`, replaced whole at each ask and each tell."""

from __future__ import annotations

from pathlib import Path

from vtbench.schema.search import SearchLedger
from vtbench.store.files import write_atomic
from vtbench.store.layout import Store
from vtbench.store.query import dump, load_versioned


def ledger_path(store: Store, plan_id: str) -> Path:
    """Return the file of the ledger of a plan's search."""
    return store.plan_path(plan_id).with_name("search.json")


def load_ledger(store: Store, plan_id: str) -> SearchLedger | None:
    """Return the ledger of a plan's search; None if it has not begun or is no search.

    Raises:
        StoreError: the file is broken or of a newer version.
    """
    path = ledger_path(store, plan_id)
    return load_versioned(path, SearchLedger) if path.exists() else None


def save_ledger(store: Store, plan_id: str, ledger: SearchLedger) -> None:
    """Write the ledger, on disk at once."""
    write_atomic(ledger_path(store, plan_id), dump(ledger))


def open_ledger(store: Store, plan_id: str, fingerprint: str, optuna: str, fresh: bool = False) -> SearchLedger:
    """Return the ledger to go on with: the present one, or a new one if the search has changed since.

    The ledger of another search is kept under its fingerprint, and found again when the study is changed back.

    Args:
        store: where runs lie.
        plan_id: of the search's plan.
        fingerprint: of the search as it is now.
        optuna: the version that will propose.
        fresh: begin again.
    """
    path = ledger_path(store, plan_id)
    present = load_ledger(store, plan_id)
    if present is not None and present.fingerprint != fingerprint:
        path.replace(_aside(path, present.fingerprint))
        present = None
    if present is None and (kept := _aside(path, fingerprint)).exists():
        kept.replace(path)
        present = load_ledger(store, plan_id)
    if present is not None and not fresh:
        return present
    return SearchLedger(fingerprint=fingerprint, optuna=optuna)


def _aside(path: Path, fingerprint: str) -> Path:
    return path.with_name(f"search-{fingerprint}.json")
