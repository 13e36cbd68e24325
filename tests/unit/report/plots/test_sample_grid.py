"""Samples, ladders and neighbours are drawn from the kept pictures, pixel by pixel."""

import json

import pytest
from PIL import Image
from PIL.PngImagePlugin import PngInfo

from vtbench.errors import StoreError
from vtbench.report.plots.sample_grid import DPI, NAMES_WIDTH, nearest_training, sample_grid, token_ladder
from vtbench.report.plots.style import PlotData


def _headings(drawing):
    return [text.get_text() for text in drawing.figure.texts]


def test_a_block_for_each_arm_size_and_way_of_sampling_at_the_longest_length(generated):
    drawing = sample_grid(generated)
    first = [heading for heading in _headings(drawing) if heading.startswith("RoPE")]
    assert first == ["RoPE, 32×32", "RoPE, 48×48", "RoPE, 32×32, CFG 2"]
    assert len(drawing.figure.images) == 6
    assert "OpenMoji" in drawing.caption


def test_pictures_are_enlarged_by_whole_factors_with_gaps(generated):
    pixels = sample_grid(generated).figure.images[0].get_array()
    assert pixels.shape == (2 * 64 + 2, 3 * 64 + 2 * 2, 3)
    assert pixels[0, 0].tolist() == [0, 0, 0]
    assert pixels[64, 0].tolist() == [255, 255, 255]


def test_rows_are_named_where_the_pictures_say_how(generated, tmp_path):
    names = ["Food & Drink", "$x$ of <all> the many words of a class"]
    for strip in generated.results.data.strips:
        (tmp_path / strip.file).parent.mkdir(exist_ok=True)
        said = PngInfo()
        said.add_text("rows", json.dumps(names))
        with Image.open(generated.folder / strip.file) as image:
            image.save(tmp_path / strip.file, pnginfo=said)
    drawing = sample_grid(PlotData(generated.results, tmp_path))
    assert _headings(drawing)[:3] == ["Food & Drink", "$x$ of <all> the\nmany words of a…", "RoPE, 32×32"]
    first, second = drawing.figure.texts[:2]
    assert first.get_position()[1] > second.get_position()[1]
    drawing.png()
    plain = sample_grid(generated).figure
    assert drawing.figure.get_figwidth() == pytest.approx(plain.get_figwidth() + NAMES_WIDTH / DPI)


def test_a_ladder_has_a_row_a_length(generated):
    drawing = token_ladder(generated)
    assert _headings(drawing)[0] == "RoPE, 32×32: 4, 16 tokens"
    assert drawing.figure.images[0].get_array().shape == (2 * 64 + 2, 6 * 64 + 5 * 2, 3)


def test_neighbours_are_those_of_the_first_way_of_sampling(generated):
    assert _headings(nearest_training(generated))[:2] == ["RoPE, 32×32", "RoPE, 48×48"]


def test_a_study_without_generators_has_none(full, empty):
    for data in (full, empty):
        assert sample_grid(data) is token_ladder(data) is nearest_training(data) is None


def test_a_lost_or_foreign_picture_is_an_error(generated, tmp_path):
    with pytest.raises(StoreError, match="does not exist"):
        sample_grid(PlotData(generated.results, tmp_path))
    for strip in generated.results.data.strips:
        (tmp_path / strip.file).parent.mkdir(exist_ok=True)
        Image.new("RGB", (50, 31)).save(tmp_path / strip.file)
    with pytest.raises(StoreError, match="no grid of 32x32"):
        sample_grid(PlotData(generated.results, tmp_path))
