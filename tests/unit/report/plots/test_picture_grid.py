import io
import shutil

import numpy as np
import pytest
from PIL import Image

from vtbench.errors import StoreError
from vtbench.report.plots.picture_grid import GAP, HEADING, LABEL_WIDTH, picture_grid
from vtbench.report.plots.style import PlotData, styled
from vtbench.report.results import Results


def _drawn(data):
    with styled():
        drawing = picture_grid(data)
        return drawing, np.asarray(Image.open(io.BytesIO(drawing.png())).convert("RGB")).astype(int)


def test_pixels_are_those_of_the_strips(full):
    _, grid = _drawn(full)
    with Image.open(full.folder / "samples/32x32_Lfull_original.png") as image:
        second = np.asarray(image.convert("RGB"))[:, 32:64].astype(int)
    expected = second.repeat(3, axis=0).repeat(3, axis=1)
    left = LABEL_WIDTH + 96 + GAP
    assert np.abs(grid[HEADING : HEADING + 96, left : left + 96] - expected).max() <= 1


def test_rows_are_originals_then_arms(full):
    drawing, _ = _drawn(full)
    texts = [text.get_text() for text in drawing.figure.texts]
    assert texts[:6] == [
        "32×32 (trained at)",
        "Original",
        "RoPE",
        "Learnable RoPE",
        "Dynamic grid",
        "Dynamic grid +\nadaptive patch",
    ]
    assert "96×96 (not trained at)" in texts
    assert "OpenMoji, CC BY-SA 4.0" in drawing.caption
    assert "seed 0" in drawing.caption


def test_a_missing_arm_keeps_its_row(partial, empty):
    drawing, _ = _drawn(partial)
    texts = [text.get_text() for text in drawing.figure.texts]
    assert texts.count("missing") == 3
    assert texts[texts.index("missing") - 1] == "Dynamic grid"
    assert picture_grid(empty) is None


def test_broken_and_missing_strips_are_named(full, tmp_path):
    folder = shutil.copytree(full.folder, tmp_path / "copy")
    path = folder / "samples" / "32x32_Lfull_original.png"
    Image.new("RGB", (50, 32)).save(path)
    with pytest.raises(StoreError, match=r"is 32x50 pixels \(HxW\), which is no row of 32x32 pictures"):
        picture_grid(PlotData(full.results, folder))
    path.unlink()
    with pytest.raises(StoreError, match="does not exist"):
        picture_grid(PlotData(full.results, folder))


def test_large_pictures_are_made_smaller_and_small_ones_larger():
    from vtbench.report.plots.picture_grid import _scale

    assert _scale(32, 32) == 3
    assert _scale(48, 32) == 3
    assert _scale(96, 96) == 1
    assert _scale(200, 256) == 1
    assert _scale(1024, 512) == 0.25


def test_of_many_lengths_some_are_shown_with_both_ends(full):
    lengths = (1, 2, 4, 6, 8, 10, 12, 16)
    data = full.results.data
    evaluate = data.plan.evaluate.model_copy(update={"resolutions": ("32x32",), "num_tokens": lengths})
    strips = [strip for strip in data.strips if strip.resolution == "32x32"]
    update = {
        "plan": data.plan.model_copy(update={"evaluate": evaluate}),
        "strips": tuple(strip.model_copy(update={"num_tokens": length}) for strip in strips for length in lengths),
        "values": (),
    }
    drawing, _ = _drawn(PlotData(Results(data.model_copy(update=update)), full.folder))
    headings = [text.get_text() for text in drawing.figure.texts if "L=" in text.get_text()]
    assert headings == [f"32×32, L={length} (trained at)" for length in (1, 4, 10, 16)]
    assert "Some of the numbers of tokens." in drawing.caption
