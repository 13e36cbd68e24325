"""Error rates by hand, and by the OCR engine on pages of known text."""

import importlib.util

import numpy as np
import pytest
import torch

from vtbench.errors import DataError, WeightsError
from vtbench.evaluate.metric import Batch, Measured
from vtbench.evaluate.metrics import text_preservation
from vtbench.evaluate.metrics.text_preservation import (
    TextCharacterError,
    TextWordError,
    edit_distance,
    engine,
    model_paths,
    text_errors,
)
from vtbench.evaluate.text_pages import text_page

needs_engine = pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("rapidocr", "onnxruntime")), reason="the extra ocr"
)


@pytest.mark.parametrize(
    ("first", "second", "distance"),
    [("kitten", "sitting", 3), ("", "abc", 3), ("abc", "", 3), ("flaw", "lawn", 2), ("same", "same", 0)],
)
def test_edit_distances(first, second, distance):
    assert edit_distance(first, second) == distance


def test_errors_of_characters_and_words():
    assert text_errors("green tiger 48", "green tigor") == (1 + 3, 14, 2, 3)
    assert text_errors("", "noise") == (5, 0, 1, 0)


def _compute(metric, errors):
    (quantity,) = metric.quantities()
    return metric.compute(Measured({quantity.key: np.array(errors)}))


def test_rates_are_over_all_text_not_a_mean_of_images():
    errors = [[1, 10, 1, 2], [0, 90, 0, 18]]
    assert _compute(TextCharacterError(), errors).value == pytest.approx(0.01)
    assert _compute(TextWordError(), errors).value == pytest.approx(0.05)
    assert _compute(TextWordError(), errors).params == {"length": 20}
    assert TextCharacterError().quantities() == TextWordError().quantities()


def test_images_without_text():
    with pytest.raises(DataError, match="no text is read"):
        _compute(TextCharacterError(), [[3, 0, 1, 0]])


def test_a_missing_package_is_told(monkeypatch):
    monkeypatch.setattr(text_preservation, "_PACKAGES", ("no_such_package",))
    with pytest.raises(WeightsError, match=r"no_such_package: pip install .*\[ocr\]"):
        TextCharacterError.check()


@needs_engine
def test_models_come_with_the_package():
    assert all(path.stat().st_size > 10**6 for path in model_paths().values())
    protocol = TextWordError.protocol()
    assert len(protocol["det_sha256"]) == len(protocol["rec_sha256"]) == 64


@needs_engine
def test_a_release_without_the_models_is_told(monkeypatch):
    monkeypatch.setattr(text_preservation, "MODELS", {"Det": "other.onnx"})
    with pytest.raises(WeightsError, match=r"lacks the model .*other\.onnx"):
        model_paths()


@needs_engine
def test_the_engine_reads_what_is_there_and_misses_what_is_spoiled(spoil):
    page, text = text_page(0, (96, 256), 16)
    assert edit_distance(text, engine()(page.permute(1, 2, 0).numpy())) <= 2
    coarse = torch.nn.functional.interpolate(page[None].float(), (24, 64), mode="area")
    illegible = torch.nn.functional.interpolate(coarse, (96, 256)).round().byte()
    reference = torch.stack([page, page])
    metric = TextCharacterError()
    batch = Batch(reference, torch.cat([page[None], illegible]), None, None, [0, 1])
    (rows,) = metric.rows(batch).values()
    assert rows[0].tolist() == [0, rows[0, 1], 0, rows[0, 3]]
    assert rows[1, 0] > 0.2 * rows[1, 1]
    first, second = (_compute(metric, rows[i : i + 1].numpy()).value for i in (0, 1))
    assert second > first == 0
