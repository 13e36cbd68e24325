import subprocess
import sys
from pathlib import Path

import pytest

from vtbench.errors import StudyError
from vtbench.study.cost_study import expand_cost, load_cost_study

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "tests" / "fakes" / "small_cost_study.yaml").read_text()
STUDIES = sorted(path for path in (ROOT / "studies").glob("*.yaml") if "\nkind: cost\n" in path.read_text())


@pytest.fixture
def load(tmp_path):
    """Load the study, with one piece of its text replaced; of models it knows the registered components."""

    def load(old="", new=""):
        assert old in TEXT
        (tmp_path / "small.yaml").write_text(TEXT.replace(old, new, 1))
        return load_cost_study(tmp_path / "small.yaml", tmp_path / "no_cards")

    return load


def test_a_good_file(load):
    study = load()
    assert [arm.name for arm in study.arms] == ["fixed", "adaptive"]
    assert study.components == ("total", "encode")
    assert study.published[0].component == "total"


MISTAKES = [
    ("question:", "qestion:", "qestion", "unknown key 'qestion'. Did you mean 'question'?"),
    (
        "patch, model: vibetoken, set: {encoder: *",
        "patch, model: vibetokn, set: {encoder: *",
        "  adaptive:",
        "'vibetoken'?",
    ),
    (
        "[hook_no_mha, full]",
        "[hook_no_mah, full]",
        "conv",
        "'hook_no_mah' is no convention. Did you mean 'hook_no_mha'?",
    ),
    ("[hook_no_mha, full]", "[hook_no_mha]", "conventions:", "'full' must be one of them"),
    ("[hook_no_mha, full]", "[full, full]", "conventions:", "twice"),
    ("[total, encode]", "[total, enocde]", "comp", "'enocde' is no component of a tokenizer. Did you mean 'encode'?"),
    ("[total, encode]", "[total, sampling]", "components:", "'sampling' is no component of a tokenizer"),
    ("[32x32, 64x64]", "[]", "  resolution:", "at least one"),
    ("[32x32, 64x64]", "[32x32, '64']", "  resolution:", "HEIGHTxWIDTH"),
    ("reference_arm: fixed", "reference_arm: fix", "reference_arm", "Did you mean 'fixed'?"),
    (
        "{arm: fixed, resolution",
        "{arm: fxed, resolution",
        "  - {arm",
        "[0].arm: 'fxed' is no arm. Did you mean 'fixed'?",
    ),
    ("resolution: 64x64", "resolution: 96x96", "  - {arm", "'96x96' is no resolution of axes.resolution"),
    ("convention: hook_no_mha", "convention: macs", "  - {arm", "'macs' is no convention of the study"),
    ("patch_size: 8", "name: x, patch_size: 8", "  fixed:", "name another card under 'model'"),
    ("num_tokens: 8}\n  adaptive", "num_token: 8}\n  adaptive", "  fixed:", "unknown key 'arms.fixed.num_token'"),
]


@pytest.mark.parametrize(("old", "new", "line", "part"), MISTAKES)
def test_mistakes_name_their_line_and_the_nearest_choice(load, tmp_path, old, new, line, part):
    with pytest.raises(StudyError) as caught:
        load(old, new)
    number = next(n for n, text in enumerate(TEXT.replace(old, new, 1).splitlines(), start=1) if text.startswith(line))
    assert str(caught.value).startswith(f"{tmp_path / 'small.yaml'}:{number}: ")
    assert part in str(caught.value)


@pytest.mark.parametrize(
    ("old", "new", "part"),
    [
        ("patch_embed: fixed", "patch_embd: fixed", "unknown key 'arms.fixed.set.patch_embd'. Did you mean"),
        ("patch_embed: fixed", "patch_embed: fixd", "arms.fixed.set.patch_embed: one of"),
    ],
)
def test_options_of_a_model_are_checked_when_expanding(load, tmp_path, old, new, part):
    with pytest.raises(StudyError) as caught:
        expand_cost(load(old, new), tmp_path / "no_cards")
    assert str(caught.value).startswith(f"{tmp_path / 'small.yaml'}:8: ")
    assert part in str(caught.value)


def test_cells_are_arms_by_resolutions(load, tmp_path):
    plan = expand_cost(load(), tmp_path / "no_cards")
    assert [(cell.arm, cell.workload.resolution, cell.workload.num_tokens) for cell in plan.cells] == [
        ("fixed", "32x32", 8),
        ("fixed", "64x64", 8),
        ("adaptive", "32x32", 8),
        ("adaptive", "64x64", 8),
    ]
    assert plan.cards["fixed"].config["patch_size"] == 8
    assert plan.cards["fixed"].config["name"] == "vibetoken"


def test_lengths_are_an_axis_of_the_arms_that_leave_them_open(load, tmp_path):
    plan = expand_cost(
        load("patch_sizes: [8, 16]}, num_tokens: 8}\n", "patch_sizes: [8, 16]}}\n"), tmp_path / "no_cards"
    )
    assert {cell.workload.num_tokens for cell in plan.cells if cell.arm == "fixed"} == {None}
    study = load("[32x32, 64x64]", "[32x32, 64x64]\n  num_tokens: [4, 8]")
    assert {cell.length for cell in expand_cost(study, tmp_path / "no_cards").cells} == {None}  # both arms state theirs
    arms = tuple(arm.model_copy(update={"num_tokens": None}) for arm in study.arms)
    cells = expand_cost(study.model_copy(update={"arms": arms}), tmp_path / "no_cards").cells
    assert [(c.length, c.workload.num_tokens) for c in cells if c.arm == "fixed"] == [(4, 4), (4, 4), (8, 8), (8, 8)]


@pytest.mark.parametrize("path", STUDIES, ids=lambda path: path.stem)
def test_the_committed_studies_expand(path, monkeypatch):
    monkeypatch.chdir(ROOT)
    plan = expand_cost(load_cost_study(path))
    assert len(plan.cells) == len(plan.study.arms) * len(plan.study.axes.resolution)
    assert plan.study.path == f"studies/{path.name}"


def test_tokens_of_a_grid_follow_from_the_size(monkeypatch):
    monkeypatch.chdir(ROOT)
    plan = expand_cost(load_cost_study(ROOT / "studies" / "cost_generator.yaml"))
    tokens = {(cell.arm, cell.workload.resolution): cell.workload.num_tokens for cell in plan.cells}
    assert tokens["llamagen_xxl", "256x256"] == 256
    assert tokens["llamagen_xxl", "1024x1024"] == 4096
    assert tokens["vibetoken_xxl", "256x256"] == tokens["vibetoken_xxl", "1024x1024"] == 65


def test_loading_needs_no_torch():
    code = (
        "import sys; from pathlib import Path; from vtbench.study.cost_study import load_cost_study;"
        " load_cost_study(Path('studies/cost_ablation.yaml')); print('torch' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
