import pytest

from vtbench.errors import StudyError
from vtbench.study.expand import expand
from vtbench.study.load import load_study

SIZE = "size: {width: 16, num_layers: 1, num_heads: 2}"


@pytest.fixture
def plan_of(write):
    """Expand the small study with a generator's section; arguments replace its parts."""

    def plan_of(model="name: vibetoken_gen", tokens="resolutions: [16x16]", tokenizer="", data=None):
        section = f"""  generator:
    model: {{{model}, {SIZE}}}
    tokens: {{{tokens}}}
    train: {{steps: 2, batch_size: 2}}
  evaluate: """
        path = write("  evaluate: ", section)
        text = path.read_text().replace("num_codebooks: 4", tokenizer or "num_codebooks: 4")
        path.write_text(text.replace("{name: imagefolder, root: IMAGES}", data or "{name: imagefolder, root: IMAGES}"))
        return expand(load_study(path))

    return plan_of


def options(plan):
    return plan.runs[plan.cells[0].run_id].config.generator.model.options


def test_what_follows_from_tokenizer_and_data_is_filled_in(plan_of):
    found = options(plan_of(data="{name: icons}"))
    assert (found["num_codebooks"], found["codebook_size"], found["max_num_tokens"]) == (4, 16, 4)
    assert found["num_classes"] == 9
    assert found["head_norm"] == "qk"  # the generator's own default


def test_data_that_must_be_looked_at_leaves_the_classes_to_the_file(plan_of):
    assert options(plan_of("name: vibetoken_gen, num_classes: 2"))["num_classes"] == 2


def test_a_grid_is_that_of_the_tokens(plan_of):
    found = options(plan_of("name: llamagen", "resolutions: [16x16]", "num_codebooks: 1"))
    assert found["grid_size"] == [2, 2]
    assert options(plan_of("name: llamagen", "resolutions: [32x8]", "num_codebooks: 1"))["grid_size"] == [4, 1]


def test_a_shorter_length_is_learned_where_the_study_says_so(plan_of):
    assert options(plan_of(tokens="resolutions: [16x16], num_tokens: 2"))["max_num_tokens"] == 2


@pytest.mark.parametrize(
    ("changes", "text"),
    [
        ({"model": "name: vibetoken_gen, codebook_size: 17"}, "codebook_size: 17 contradicts the rest of the run"),
        ({"model": "name: llamagen"}, "generator.model.name: 'llamagen': it makes one code a token"),
        ({"model": "name: vibetoken_gn"}, "Did you mean 'vibetoken_gen'?"),
        ({"model": "name: vibetoken_gen, hed_norm: qk"}, "unknown key 'generator.model.hed_norm'"),
        ({"tokens": "resolutions: [16x16], num_tokens: 5"}, "generator.tokens.resolutions[0]: "),
        ({"tokens": "resolutions: [16x17]"}, "generator.tokens.resolutions[0]: "),
    ],
)
def test_what_contradicts_is_refused_with_its_place(plan_of, changes, text):
    with pytest.raises(StudyError) as caught:
        plan_of(**changes)
    assert text in str(caught.value)
    assert "small.yaml:" in str(caught.value)
