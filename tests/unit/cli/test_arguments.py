from pathlib import Path

import pytest

from vtbench.cli.arguments import (
    load_any_study,
    matching_plans,
    open_store,
    parse_overrides,
    plan_ids,
    report_folder,
)
from vtbench.errors import StoreError, StudyError
from vtbench.store.layout import Store


def test_values_are_written_as_in_yaml():
    found = parse_overrides(["train.steps=4", "a.b=[8x8, 1e-4]", "c = {min: 1}", "d=", "e=x=y"])
    assert found == {"train.steps": 4, "a.b": ["8x8", 1e-4], "c": {"min": 1}, "d": None, "e": "x=y"}
    assert parse_overrides(None) == {}


@pytest.mark.parametrize("texts", [["train.steps"], ["=3"], ["a=1", "a=2"], ["a=[1"]])
def test_what_is_no_assignment(texts):
    with pytest.raises(StudyError, match="--set"):
        parse_overrides(texts)


def test_the_default_profile_has_the_short_name():
    assert report_folder("pos@tiny") == Path("reports/pos")
    assert report_folder("pos@paper") == Path("reports/pos-paper")
    assert report_folder("pos@tiny+0a1b2c") == Path("reports/pos-tiny+0a1b2c")


def test_the_root(monkeypatch, tmp_path):
    monkeypatch.setenv("VTBENCH_ROOT", str(tmp_path))
    assert open_store(None).root == tmp_path
    assert open_store(Path("x")).root == Path("x")


def test_plans_by_id_name_and_file(folder):
    store = Store(folder / "runs")
    with pytest.raises(StoreError, match="It is empty"):
        matching_plans(store, "small")
    for plan_id in ("small@tiny", "small@gpu", "other@tiny"):
        store.plan_path(plan_id).parent.mkdir(parents=True)
        store.plan_path(plan_id).write_text("{}")
    assert plan_ids(store) == ["other@tiny", "small@gpu", "small@tiny"]
    assert matching_plans(store, "small@gpu") == ["small@gpu"]
    assert matching_plans(store, "small") == ["small@gpu", "small@tiny"]
    assert matching_plans(store, "studies/small.yaml") == ["small@gpu", "small@tiny"]
    with pytest.raises(StoreError, match="Did you mean 'small@"):
        matching_plans(store, "smal")


def test_a_study_of_any_kind_is_loaded_by_its_own_rules(folder):
    text = (Path(__file__).parents[2] / "fakes" / "small_cost_study.yaml").read_text()
    (folder / "studies" / "cost.yaml").write_text(text)
    assert load_any_study(Path("studies/small.yaml")).name == "small"
    assert load_any_study(Path("studies/cost.yaml")).name == "small_cost"
    (folder / "studies" / "cost.yaml").write_text(text.replace("question", "qestion"))
    with pytest.raises(StudyError, match="Did you mean 'question'"):
        load_any_study(Path("studies/cost.yaml"))
