import pytest

from vtbench.errors import RegistryError, StudyError
from vtbench.models.generators import GENERATORS
from vtbench.models.tokenizers import TOKENIZERS
from vtbench.study.cards import find_card, load_cards, workload

CARDS = load_cards()

SYSTEM = """
name: {name}
title: A system
architecture: a network
models:
  {model}: {{kind: {kind}, title: t, config: {{name: {component}}}, source: s}}
figures: []
"""


@pytest.fixture
def write(tmp_path):
    """Write a file with one model and return its folder."""

    def write(name, model, component="vibetoken", kind="tokenizer"):
        text = SYSTEM.format(name=name, model=model, component=component, kind=kind)
        (tmp_path / f"{name}.yaml").write_text(text)
        return tmp_path

    return write


def test_the_published_models_and_every_component_have_cards():
    for size in ("ss", "sl", "ll", "ss-fixed16", "gen-b", "gen-xxl"):
        assert f"vibetoken-{size}" in CARDS
    for size in ("b", "l", "xl", "xxl", "3b"):
        assert f"llamagen-{size}" in CARDS
    assert {name for name, card in CARDS.items() if card.config == {"name": name}} == {*TOKENIZERS, *GENERATORS}
    assert CARDS["vibetoken-gen-xxl"].num_tokens == 65


def test_an_unknown_model_gets_the_nearest_name():
    assert find_card("llamagen-xxl").config["size"] == "xxl"
    with pytest.raises(RegistryError, match=r"No model is called 'llamagen-xx'\. Did you mean 'llamagen-xxl'"):
        find_card("llamagen-xx")


def test_names_are_unique_over_all_files(write):
    write("first", "twin")
    folder = write("second", "twin")
    with pytest.raises(StudyError, match=r"second\.yaml:6: the model 'twin' is at .*first\.yaml:6 too"):
        load_cards(folder)


def test_a_component_keeps_its_name(write):
    with pytest.raises(StudyError, match=r"a\.yaml:6: 'vibetoken' is a registered component"):
        load_cards(write("a", "vibetoken"))


@pytest.mark.parametrize(
    ("kind", "component", "said"),
    [
        ("tokenizer", "vibetokn", r"a\.yaml:6: models\.m\.config\.name: No tokenizer .* Did you mean 'vibetoken'"),
        ("generator", "lamagen", "No generator is called 'lamagen'. Did you mean 'llamagen'"),
        ("generator", "vibetoken", "No generator is called 'vibetoken'"),
    ],
)
def test_a_card_names_a_component_of_its_kind(write, kind, component, said):
    with pytest.raises(StudyError, match=said):
        load_cards(write("a", "m", component, kind))


@pytest.mark.parametrize(
    ("asked", "resolution", "num_tokens"),
    [
        ({}, "256x256", 256),
        ({"resolution": "1024x1024"}, "1024x1024", 4096),
        ({"num_tokens": 4096}, "1024x1024", 4096),
        ({"resolution": "256x512", "num_tokens": 128}, "256x512", 128),
    ],
)
def test_tokens_that_stand_for_squares_follow_from_the_size(asked, resolution, num_tokens):
    work = workload(CARDS["llamagen-b"], **asked)
    assert (work.resolution, work.num_tokens) == (resolution, num_tokens)


@pytest.mark.parametrize(
    ("asked", "shape"),
    [({"num_tokens": 300}, "a square image"), ({"resolution": "256x512", "num_tokens": 256}, "256x512")],
)
def test_tokens_without_a_grid_are_refused(asked, shape):
    with pytest.raises(StudyError, match=f"tokens form no grid in the shape of {shape}"):
        workload(CARDS["llamagen-b"], **asked)


def test_other_models_keep_their_tokens_at_any_size():
    work = workload(CARDS["vibetoken-gen-b"], resolution="1024x512", batch_size=3)
    assert (work.resolution, work.num_tokens, work.patch, work.batch_size) == ("1024x512", 65, None, 3)
    assert workload(CARDS["vibetoken-ss"], patch=16, num_tokens=64).patch == 16
    assert workload(CARDS["vibetoken"]).num_tokens is None
