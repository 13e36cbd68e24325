import pytest

from vtbench.errors import StudyError
from vtbench.study.expand import expand
from vtbench.study.grid import points
from vtbench.study.load import load_study

AXES = "seeds: [0]\naxes: {train.steps: [1, 2], train.batch_size: [2, 4]}\n"


@pytest.fixture
def grid(write):
    """Load the study with axes and more text."""

    def grid(text=""):
        return load_study(write("seeds: [0]", AXES + text))

    return grid


def sizes(study, arm):
    return [(point["train.steps"], point["train.batch_size"]) for point in points(study)[arm]]


def test_the_grid(grid):
    study = grid()
    assert sizes(study, "grid") == sizes(study, "rope") == [(1, 2), (1, 4), (2, 2), (2, 4)]


def test_without_axes_there_is_one_point(study):
    assert points(study) == {"grid": [{}], "rope": [{}]}


def test_exclude_means_all_values_of_what_it_does_not_name(grid):
    study = grid("exclude: [{arm: rope, train.steps: 1}, {train.steps: 2, train.batch_size: 4}]\n")
    assert sizes(study, "grid") == [(1, 2), (1, 4), (2, 2)]
    assert sizes(study, "rope") == [(2, 2)]
    assert len(expand(study).cells) == 4


def test_include_adds_values_at_any_path(grid):
    study = grid("include: [{arm: rope, train.batch_size: 6, tokenizer.num_latent_tokens: 8}]\n")
    plan = expand(study)
    added = [cell for cell in plan.cells if "tokenizer.num_latent_tokens" in cell.coordinates]
    assert [(cell.arm, cell.coordinates["train.steps"]) for cell in added] == [("rope", 1), ("rope", 2)]
    config = plan.runs[added[1].run_id].config
    assert (config.train.batch_size, config.tokenizer.options["num_latent_tokens"]) == (6, 8)
    assert sizes(study, "grid") == [(1, 2), (1, 4), (2, 2), (2, 4)]


def test_include_without_axes(write):
    study = load_study(write("seeds: [0]", "seeds: [0]\ninclude: [{train.steps: 5}]"))
    assert points(study) == {"grid": [{}, {"train.steps": 5}], "rope": [{}, {"train.steps": 5}]}


def test_a_wrong_included_value_is_found_at_its_line(write, line_of):
    path = write("seeds: [0]", "seeds: [0]\ninclude:\n- {arm: rope, train.steps: 5}\n- {arm: rope, train.steps: -5}")
    with pytest.raises(StudyError, match=r"train\.steps: a number above 0") as caught:
        expand(load_study(path))
    assert str(caught.value).startswith(f"{path}:{line_of(path, '-5')}: ")


@pytest.mark.parametrize(
    ("text", "part"),
    [
        ("exclude: [{arm: roep}]", "exclude[0].arm: no arm is called 'roep'. Did you mean 'rope'?"),
        ("exclude: [{train.step: 1}]", "exclude[0]: 'train.step' is no axis. Did you mean 'train.steps'?"),
        ("exclude: [{train.steps: 3}]", "exclude[0].train.steps: the axis has no value 3."),
        ("exclude: [{train.steps: true}]", "the axis has no value true."),
        ("exclude: [{}]", "exclude[0]: name an arm or a config path"),
        (
            "exclude: [{arm: rope, train.steps: 1}, {train.steps: 1}, {arm: grid, train.steps: 1}]",
            "exclude[2]: no cell",
        ),
        ("exclude: [{arm: rope}]", "arms.rope: exclude leaves no cell of it"),
        ("exclude: {arm: rope}", "exclude: a list is needed"),
        ("include: [{train.stps: 5}]", "include[0]: unknown key 'train.stps'. Did you mean 'train.steps'?"),
        ("include: [{evaluate.num_samples: 5}]", "include[0]: an included cell cannot set 'evaluate.num_samples'"),
        ("include: [{arm: rope, train.steps: 1}]", "include[0]: rope is at train.steps=1, train.batch_size=2 already"),
    ],
)
def test_mistakes(complaint, text, part):
    message = complaint("seeds: [0]", AXES + text)
    assert part in message
    assert "small.yaml:" in message
