import pytest

from vtbench.errors import StoreError
from vtbench.schema.search import Trial
from vtbench.store.layout import Store
from vtbench.store.search import ledger_path, load_ledger, open_ledger, save_ledger

PLAN = "s@tiny"


def test_a_changed_search_gets_a_new_ledger_and_the_old_one_is_found_again(tmp_path):
    store = Store(tmp_path)
    assert load_ledger(store, PLAN) is None
    first = open_ledger(store, PLAN, "aaa", "5.0")
    first = first.model_copy(update={"trials": (Trial(number=0, batch=0, values={"train.steps": 3}),)})
    save_ledger(store, PLAN, first)
    assert open_ledger(store, PLAN, "aaa", "6.0") == first
    assert first.told == ()
    changed = open_ledger(store, PLAN, "bbb", "5.0")
    assert changed.trials == ()
    save_ledger(store, PLAN, changed)
    assert open_ledger(store, PLAN, "aaa", "5.0") == first
    assert open_ledger(store, PLAN, "aaa", "5.0", fresh=True).trials == ()


def test_a_broken_ledger_is_named(tmp_path):
    store = Store(tmp_path)
    path = ledger_path(store, PLAN)
    path.parent.mkdir(parents=True)
    path.write_text("{")
    with pytest.raises(StoreError, match=r"search\.json"):
        load_ledger(store, PLAN)
