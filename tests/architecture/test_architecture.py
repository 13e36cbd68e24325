"""The rules of the house that no linter knows."""

import ast
import importlib
import inspect
import re
import subprocess
import sys
from pathlib import Path

import jaxtyping
import pytest
import torch

import vtbench
from vtbench.cli.app import app
from vtbench.data.dataset import ImageDataset
from vtbench.evaluate import METRICS
from vtbench.evaluate.metric import Metric
from vtbench.features.network import FeatureNetwork
from vtbench.models.generators.base import Generator
from vtbench.models.losses.perceptual import PerceptualLoss
from vtbench.models.nn.rope import Rotation, rotate
from vtbench.models.quantizers.base import Quantizer
from vtbench.models.tokenizers.base import Tokenizer
from vtbench.registry import Registry
from vtbench.report.metrics import display
from vtbench.schema.base import Frozen

ROOT = Path(__file__).parents[2]
PACKAGE = Path(vtbench.__file__).parent
UNIT = ROOT / "tests" / "unit"
MODULES = sorted(PACKAGE.rglob("*.py"))
TEXTS = sorted(p for p in PACKAGE.rglob("*") if p.is_file() and "__pycache__" not in p.parts)
MAX_LINES, MAX_LEVELS = 400, 3

BASES = {
    "tokenizer": Tokenizer,
    "generator": Generator,
    "quantizer": Quantizer,
    "dataset": ImageDataset,
    "metric": Metric,
    "feature network": FeatureNetwork,
    "perceptual loss": PerceptualLoss,
}
"""What the rows of a registry derive from; the rows of others are functions."""


def _registries():
    names = {".".join(["vtbench", *path.relative_to(PACKAGE).parent.parts]) for path in PACKAGE.rglob("__init__.py")}
    found = {}
    for name in sorted(names):
        members = vars(importlib.import_module(name)).values()
        found |= {member.kind: member for member in members if isinstance(member, Registry)}
    return found


REGISTRIES = _registries()
ROWS = [(kind, name) for kind, registry in REGISTRIES.items() for name in registry.names()]


def _mirror(module):
    """Return where the tests of a module are."""
    path = module.relative_to(PACKAGE)
    return UNIT / path.parent / f"test_{path.stem.strip('_')}.py"


def _defines_something(module):
    """Return whether a module has code of its own: a function, a class or, in `__init__.py`, a registry."""
    body = ast.parse(module.read_text()).body
    if module.name == "__init__.py":
        return any(isinstance(node, ast.Call) and ast.unparse(node.func) == "Registry" for node in _walk(body))
    return any(isinstance(node, ast.FunctionDef | ast.ClassDef) for node in body)


def _walk(body):
    return (node for statement in body for node in ast.walk(statement))


def _words(path):
    return path.read_text(encoding="utf-8")


@pytest.mark.parametrize("path", TEXTS, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_file_is_short_and_finished(path):
    text = _words(path)
    assert len(text.splitlines()) <= MAX_LINES
    assert not re.search(r"\b(TODO|FIXME|XXX|HACK|WIP)\b", text)
    assert "NotImplementedError" not in text


@pytest.mark.parametrize("folder", ["tests", "benchmarks"])
def test_files_around_the_package_are_short_too(folder):
    assert [str(path) for path in (ROOT / folder).rglob("*.py") if len(_words(path).splitlines()) > MAX_LINES] == []


def test_folders_are_at_most_three_levels_deep():
    deep = [str(path) for path in TEXTS if len(path.relative_to(PACKAGE).parts) - 1 > MAX_LEVELS]
    assert deep == []


@pytest.mark.parametrize("module", MODULES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_module_says_what_it_is(module):
    assert ast.get_docstring(ast.parse(_words(module)))


def test_every_module_has_its_tests():
    assert [
        str(_mirror(m).relative_to(ROOT)) for m in MODULES if _defines_something(m) and not _mirror(m).exists()
    ] == []


def test_every_test_has_its_module():
    mirrors = {_mirror(module) for module in MODULES}
    assert [str(path.relative_to(ROOT)) for path in sorted(UNIT.rglob("test_*.py")) if path not in mirrors] == []


def test_every_registry_is_known_here():
    assert set(BASES) <= set(REGISTRIES)
    assert set(REGISTRIES) - set(BASES) == {"plot"}


@pytest.mark.parametrize(("kind", "name"), ROWS)
def test_every_row_loads_and_is_complete(kind, name):
    row = REGISTRIES[kind].load(name)
    assert inspect.getdoc(row)
    if kind not in BASES:
        assert callable(row)
        return
    base = BASES[kind]
    assert issubclass(row, base)
    assert not inspect.isabstract(row)
    missing = [
        field for field in inspect.get_annotations(base) if _is_class_variable(base, field) and not hasattr(row, field)
    ]
    assert missing == []
    if "Config" in inspect.get_annotations(base):
        assert issubclass(row.Config, Frozen)
        assert row.Config.__doc__
    if kind in ("metric", "feature network"):
        assert row.name == name


def _is_class_variable(base, field):
    return "ClassVar" in str(inspect.get_annotations(base)[field])


@pytest.mark.parametrize("name", METRICS.names())
def test_a_report_shows_a_metric_as_its_class_declares_it(name):
    declared, shown = METRICS.load(name), display(name)
    assert shown.title == declared.title
    assert shown.unit == declared.unit
    assert shown.min_samples == declared.min_samples
    assert shown.lower_is_better is not declared.higher_is_better


def test_the_readme_names_every_verb():
    readme = _words(ROOT / "README.md")
    verbs = [command.name for command in app.registered_commands]
    assert verbs
    assert [verb for verb in verbs if f"vtbench {verb}" not in readme] == []


def test_the_documents_name_every_study():
    documents = "".join(_words(path) for path in [ROOT / "README.md", *(ROOT / "docs").glob("*.md")])
    studies = sorted((ROOT / "studies").glob("*.yaml"))
    assert studies
    assert [study.name for study in studies if f"studies/{study.name}" not in documents] == []


def test_imports_point_down():
    linter = Path(sys.executable).with_name("lint-imports")
    done = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


def test_shapes_are_checked_while_testing():
    still = Rotation(cos=torch.ones(3, 2), sin=torch.zeros(3, 2))
    rotate(torch.zeros(1, 1, 3, 4), still)
    with pytest.raises(jaxtyping.TypeCheckError):
        rotate(torch.zeros(3, 4), still)
