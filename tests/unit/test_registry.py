import sys

import pytest

from vtbench.errors import RegistryError
from vtbench.registry import PLUGIN_GROUP, Registry

TABLE = {
    "ordered": "collections:OrderedDict",
    "counter": "collections:Counter",
    "gone": "a_package_that_is_not_there:X",
}


@pytest.fixture
def registry():
    return Registry("thing", TABLE)


@pytest.fixture
def plugin(tmp_path, monkeypatch):
    """Install a package that adds rows by entry points."""
    (tmp_path / "my_plugin.py").write_text("class Mine:\n    pass\n")
    info = tmp_path / "my_plugin-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: my-plugin\nVersion: 1.0\n")
    rows = ["thing.mine = my_plugin:Mine", "thing.counter = my_plugin:Mine", "other.alien = my_plugin:Mine"]
    (info / "entry_points.txt").write_text("\n".join([f"[{PLUGIN_GROUP}]", *rows]) + "\n")
    monkeypatch.syspath_prepend(tmp_path)
    yield
    sys.modules.pop("my_plugin", None)


def test_names_are_sorted_and_can_be_asked_for(registry):
    assert registry.names() == list(registry) == ["counter", "gone", "ordered"]
    assert "counter" in registry
    assert "countr" not in registry


def test_listing_imports_nothing():
    table = {"rare": "this.is.never.imported:X"}
    assert Registry("thing", table).names() == ["rare"]
    Registry("thing", table).check("rare")


def test_a_row_is_imported_when_it_is_loaded(registry):
    from collections import Counter

    assert registry.load("counter") is Counter


@pytest.mark.parametrize("method", ["load", "check"])
def test_an_unknown_name_gets_the_nearest(registry, method):
    with pytest.raises(RegistryError, match=r"No thing is called 'countr'\. Did you mean 'counter'\?"):
        getattr(registry, method)("countr")


def test_a_missing_package_is_named(registry):
    with pytest.raises(RegistryError, match=r"The thing 'gone' needs the package 'a_package_that_is_not_there'"):
        registry.load("gone")


@pytest.mark.usefixtures("plugin")
def test_an_installed_package_adds_rows_to_the_registry_of_their_kind():
    registry = Registry("thing", TABLE)
    assert registry.names() == ["counter", "gone", "mine", "ordered"]
    assert registry.load("mine").__name__ == "Mine"


@pytest.mark.usefixtures("plugin")
def test_a_plugin_cannot_replace_our_own_row():
    from collections import Counter

    assert Registry("thing", TABLE).load("counter") is Counter


def test_a_later_change_of_the_table_it_was_made_from_does_not_reach_it():
    table = dict(TABLE)
    registry = Registry("thing", table)
    table["late"] = "collections:deque"
    assert "late" not in registry


def test_a_missing_attribute_is_named_with_the_nearest():
    table = {"counter": "collections:Countr"}
    with pytest.raises(RegistryError, match=r"collections has no 'Countr'\. Did you mean 'Counter'\?"):
        Registry("thing", table).load("counter")
