"""The notebooks run on a fresh clone: without a store, from the committed reports, and without training."""

from pathlib import Path

import nbformat
import pytest
from nbclient import NotebookClient

ROOT = Path(__file__).parents[2]
NOTEBOOKS = sorted((ROOT / "notebooks").glob("*.ipynb"))
MOST_BYTES = 300_000


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
# jupyter's own packages warn of their migrations and of the event loop
@pytest.mark.filterwarnings("ignore::DeprecationWarning")
def test_a_notebook_runs_and_is_committed_with_its_outputs(path, tmp_path, monkeypatch):
    monkeypatch.setenv("VTBENCH_ROOT", str(tmp_path / "none"))
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    committed = nbformat.read(path, as_version=4)
    made = nbformat.read(path, as_version=4)
    NotebookClient(made, timeout=120, resources={"metadata": {"path": str(path.parent)}}).execute()
    assert path.stat().st_size < MOST_BYTES
    assert _shown(committed) == _shown(made)
    text = path.read_text()
    assert str(Path.home()) not in text
    assert str(ROOT) not in text


def _shown(notebook):
    """Return what each code cell shows, by kind; numbers change with the reports and are not compared."""
    return [
        [sorted(output.get("data", {"text/plain": ""})) for output in cell.outputs]
        for cell in notebook.cells
        if cell.cell_type == "code"
    ]


def test_there_are_notebooks():
    assert NOTEBOOKS
