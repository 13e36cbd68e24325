import pytest
from pydantic import ValidationError

from vtbench.schema.baseline import Baseline, PublishedFigure

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
