"""Pages depend on their number alone, their text fits, and errors are counted against it."""

import pytest
import torch

from vtbench.errors import ResolutionError
from vtbench.evaluate.text_pages import FONT_PIXELS, text_page, text_preservation

SIZE = (128, 160)


@pytest.mark.parametrize("font_pixels", FONT_PIXELS)
def test_text_lies_inside_the_page(font_pixels):
    page, text = text_page(0, SIZE, font_pixels)
    assert page.shape == (3, *SIZE)
    assert page.dtype == torch.uint8
    ink = page[0] < 128
    assert ink.any()
    for border in (ink[0], ink[-1], ink[:, 0], ink[:, -1]):
        assert not border.any()
    assert len(text.split("\n")) == (128 - 2 * 4) // round(1.6 * font_pixels)


def test_the_same_number_gives_the_same_page_and_another_another():
    first, again, other = (text_page(number, SIZE, 12) for number in (0, 0, 1))
    assert torch.equal(first[0], again[0])
    assert first[1] == again[1] != other[1]


def test_text_that_does_not_fit():
    with pytest.raises(ResolutionError, match="32 pixels does not fit into a page of 24x24"):
        text_page(0, (24, 24), 32)
    with pytest.raises(ResolutionError, match="page of 200x20"):
        text_page(0, (200, 20), 16)


def test_errors_are_counted_for_each_font_size():
    """The reader here knows the pages: what is tested is the counting."""
    pages = {
        text_page(number, SIZE, pixels)[0].numpy().tobytes(): text_page(number, SIZE, pixels)[1]
        for number in range(2)
        for pixels in (12, 24)
    }

    def read(image):
        known = pages.get(image.transpose(2, 0, 1).tobytes())
        return "" if known is None else known

    same = text_preservation(lambda images: images, read, SIZE, 2, (12, 24))
    assert [(each.font_pixels, each.character_error, each.word_error) for each in same] == [(12, 0, 0), (24, 0, 0)]
    spoiled = text_preservation(lambda images: images * 0.9, read, SIZE, 2, (12,))
    assert [(each.character_error, each.word_error) for each in spoiled] == [(1.0, 1.0)]


def test_overshoot_of_a_model_is_clamped():
    seen = []
    text_preservation(lambda images: images * 3 - 1, lambda image: seen.append(image) or "", SIZE, 1, (24,))
    assert (seen[0] == text_page(0, SIZE, 24)[0].permute(1, 2, 0).numpy()).mean() > 0.9
