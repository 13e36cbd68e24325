import pytest
from pydantic import ValidationError

from vtbench.schema.baseline import Baseline, ModelCard, PublishedFigure, TokenGrid

FIGURE = {
    "row": "Dynamic grid",
    "metric": "rfid",
    "value": 1.71,
    "protocol": "ImageNet validation",
    "source": "the paper, table 1",
    "comparable": False,
    "why": "other data",
}


def test_a_baseline_survives_its_file():
    figure = PublishedFigure(**FIGURE, params={"resolution": "256x256", "steps": 200_000})
    baseline = Baseline(name="x", title="X", architecture="a ViT", figures=(figure,))
    assert Baseline.model_validate_json(baseline.model_dump_json()) == baseline


@pytest.mark.parametrize("field", sorted(FIGURE))
def test_a_figure_without_its_circumstances_is_refused(field):
    with pytest.raises(ValidationError, match=field):
        PublishedFigure(**{name: value for name, value in FIGURE.items() if name != field})


@pytest.mark.parametrize("changes", [{"value": "1.71"}, {"comparable": "no"}, {"note": "x"}])
def test_wrong_fields_are_refused(changes):
    with pytest.raises(ValidationError):
        PublishedFigure(**{**FIGURE, **changes})


GRID = TokenGrid(pixels=16, option="grid_size")
CARD = {"kind": "generator", "title": "X", "config": {"name": "x"}, "source": "s"}


@pytest.mark.parametrize(
    ("resolution", "num_tokens", "shape"),
    [
        ("256x256", 256, (16, 16)),
        ("256x512", 512, (16, 32)),
        ("256x512", 128, (8, 16)),
        ("256x256", 1024, (32, 32)),
        ("384x256", 96, (12, 8)),
        ("250x256", 240, (15, 16)),
        ("256x256", 255, None),
        ("256x256", 3, None),
        ("16x1024", 1, None),
    ],
)
def test_the_grid_of_a_number_of_tokens(resolution, num_tokens, shape):
    assert GRID.shape(resolution, num_tokens) == shape


def test_size_and_number_of_tokens_decide_each_other():
    assert GRID.count("1024x1024") == 4096
    assert GRID.square(4096) == "1024x1024"
    assert GRID.square(300) is None


def test_a_card_that_contradicts_itself_is_refused():
    assert ModelCard(**CARD, grid=GRID, num_tokens=256).num_tokens == 256
    with pytest.raises(ValidationError, match="num_tokens must be 256"):
        ModelCard(**CARD, grid=GRID, num_tokens=255)
    with pytest.raises(ValidationError, match="a generator has no patch"):
        ModelCard(**CARD, patch=16)
    with pytest.raises(ValidationError, match="config needs the 'name'"):
        ModelCard(**{**CARD, "config": {}})
