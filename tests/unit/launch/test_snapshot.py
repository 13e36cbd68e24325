import json
import shutil
import subprocess
import sys

import pytest

import vtbench
from vtbench.errors import LaunchError
from vtbench.launch.snapshot import take_snapshot
from vtbench.store.layout import Store
from vtbench.store.provenance import SNAPSHOT_FILE, code_version

GIT = ("git", "-c", "user.name=a", "-c", "user.email=a@b.c")


@pytest.fixture
def tree(tmp_path, monkeypatch):
    """A checkout with a package, a study and a file that decides nothing; the package counts as the running one."""
    tree = tmp_path / "tree"
    for name, text in {"vtbench/__init__.py": "x = 1", "studies/a.yaml": "a: 1", "docs/a.md": "words"}.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_text(text)
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "first"]):
        subprocess.run([*GIT, *command], cwd=tree, check=True)
    monkeypatch.setattr(vtbench, "__file__", str(tree / "vtbench" / "__init__.py"))
    return tree


def files(folder):
    return {str(path.relative_to(folder)): path.read_text() for path in sorted(folder.rglob("*")) if path.is_file()}


def test_it_holds_the_commit_with_what_is_not_committed(store, tree):
    (tree / "vtbench" / "__init__.py").write_text("x = 2")
    (tree / "vtbench" / "new.py").write_text("y = 1")
    version = code_version(tree)
    snapshot = take_snapshot(store)
    found = files(snapshot)
    noted = json.loads(found.pop(SNAPSHOT_FILE))
    assert found == {"vtbench/__init__.py": "x = 2", "vtbench/new.py": "y = 1", "studies/a.yaml": "a: 1"}
    assert (noted["commit"], noted["dirty_hash"]) == version
    assert version[1] is not None
    assert code_version(snapshot) == version  # records of jobs name the code as records of this tree would


def test_later_changes_do_not_reach_it_and_make_another(store, tree):
    first = take_snapshot(store)
    before = files(first)
    assert take_snapshot(store) == first
    (tree / "vtbench" / "__init__.py").write_text("x = 3")
    second = take_snapshot(store)
    assert second != first
    assert files(first) == before
    (tree / "docs" / "a.md").write_text("other words")
    assert take_snapshot(store) == second
    assert sorted(path.name for path in store.snapshots_dir.iterdir()) == sorted([first.name, second.name])


def test_code_that_is_a_copy_is_not_copied_again(store, tree, monkeypatch):
    snapshot = take_snapshot(store)
    monkeypatch.setattr(vtbench, "__file__", str(snapshot / "vtbench" / "__init__.py"))
    assert take_snapshot(Store(store.root / "other")) == snapshot


def test_an_installed_package_is_copied_whole(store, tree):
    shutil.rmtree(tree / ".git")
    assert set(files(take_snapshot(store))) == {"vtbench/__init__.py", SNAPSHOT_FILE}


def test_a_store_that_takes_no_copy_is_named(tmp_path, tree):
    (tmp_path / "file").write_text("")
    with pytest.raises(LaunchError, match="cannot be copied there"):
        take_snapshot(Store(tmp_path / "file"))


def test_python_runs_the_copy_and_not_the_tree(store):
    snapshot = take_snapshot(store)  # of the real package
    done = subprocess.run(
        [sys.executable, "-m", "vtbench.launch.worker", "--help"],
        cwd=store.root,
        env={"PYTHONPATH": str(snapshot), "PYTHONSAFEPATH": "1", "PYTHONVERBOSE": "1"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert f"{snapshot}/vtbench/launch/worker.py" in done.stderr
