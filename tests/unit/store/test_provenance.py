import subprocess
import sys
from datetime import UTC, datetime

import torch

from vtbench.store import provenance


def test_collect_names_versions_and_machine():
    found = provenance.collect("python -m vtbench run x")
    assert found.command == "python -m vtbench run x"
    assert found.packages["torch"] == torch.__version__.partition("+")[0]
    assert "pytest" not in found.packages
    assert "cores" in found.hardware
    assert abs((datetime.now(UTC) - datetime.fromisoformat(found.started)).total_seconds()) < 60
    assert found.finished is None


def test_needs_no_torch():
    code = "import sys; from vtbench.store import provenance, query, writer; print('torch' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def _git(folder, *arguments):
    identity = ["-c", "user.name=n", "-c", "user.email=e@example.org"]
    return subprocess.run(
        ["git", "-C", folder, *identity, *arguments], check=True, capture_output=True, text=True
    ).stdout


def test_code_names_the_commit_and_every_change(tmp_path):
    assert provenance.code_version(tmp_path) == (None, None)
    _git(tmp_path, "init", "-q")
    source = tmp_path / "vtbench" / "a.py"
    source.parent.mkdir()
    source.write_text("1")
    commit, before = provenance.code_version(tmp_path)
    assert commit is None
    assert before is not None
    _git(tmp_path, "add", ".")
    _git(tmp_path, "commit", "-q", "-m", "first")
    head = _git(tmp_path, "rev-parse", "HEAD").strip()
    assert provenance.code_version(tmp_path) == (head, None)
    (tmp_path / "README.md").write_text("not code")
    assert provenance.code_version(tmp_path) == (head, None)
    source.write_text("2")
    changed = provenance.code_version(tmp_path)
    (tmp_path / "vtbench" / "b.py").write_text("new")
    added = provenance.code_version(tmp_path)
    assert changed[0] == added[0] == head
    assert len({None, changed[1], added[1]}) == 3


def test_a_package_inside_another_checkout_has_no_commit(tmp_path):
    _git(tmp_path, "init", "-q")
    inside = tmp_path / "site-packages"
    inside.mkdir()
    assert provenance.code_version(inside) == (None, None)
